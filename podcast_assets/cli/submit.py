"""`podcast-assets submit`: add files, URLs and feeds to the store."""

from dataclasses import asdict

import click

from podcast_assets.cli.terminal import (
    STORE,
    json_option,
    load_settings,
    open_store,
    print_json,
    print_line,
    print_warnings,
)
from podcast_assets.common.errors import Misconfigured
from podcast_assets.common.warned import BatchWarning
from podcast_assets.common.wording import count_noun


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="URL|FILE|FOLDER|FEED...")
@click.option(
    "--batch", help="Name of the batch. Default: derived from its inputs, so the same inputs give the same name."
)
@click.option("--language", help="Language (ISO 639-1) of episodes and feeds that give none.")
@click.option(
    "--feed/--episode",
    "feeds",
    default=None,
    help="Treat the URLs as feeds or as episodes. Default: decided by their paths.",
)
@json_option("one JSON object")
@STORE
def submit(
    inputs: tuple[str, ...],
    batch: str | None,
    language: str | None,
    feeds: bool | None,
    as_json: bool,
    store: str | None,
) -> None:
    """Add files, folders, archives, episode URLs, feeds or OPML lists to the store. `podcast-assets dev` processes them.

    Files, folders and archives become one batch. Episode URLs become another, as a list of URLs. Feeds and OPML lists are polled
    from then on.
    """
    from podcast_assets.intake.inspection import inspect_inputs
    from podcast_assets.intake.submit import FEEDS, sort_inputs, submit_feeds, submit_files, submit_opml, submit_urls

    settings = load_settings(store=store)
    opened_store = open_store(settings)
    found = sort_inputs(inputs, feeds=feeds)
    if batch and found.places and found.urls:
        raise Misconfigured("files and URLs cannot share a batch: submit them separately, each with its own --batch")
    batches: list[str] = []
    feeds_added = 0
    warnings = inspect_inputs(found.places, settings.meta_key, follow_links=settings.allow_links)
    if found.places:
        batches.append(submit_files(opened_store, found.places, batch, language))
        print_line(f"batch {batches[-1]} is complete under incoming/")
    if found.urls:
        batches.append(submit_urls(opened_store, found.urls, batch, language))
        print_line(
            f"batch {batches[-1]}: a list of {count_noun(len(found.urls), 'episode URL')} (pass --feed if they are feeds)"
        )
    if found.feeds:
        feeds_added = submit_feeds(opened_store, found.feeds, language)
        print_line(f"{count_noun(feeds_added, 'new feed')} in {FEEDS} (pass --episode if they are episodes)")
    lists = [submit_opml(opened_store, file) for file in found.lists_of_feeds]
    for added in lists:
        print_line(f"{added.key}: {count_noun(added.feeds, 'feed')}, polled from now on")
    warnings += [BatchWarning("feeds_damaged", added.key, added.trouble) for added in lists if added.trouble]
    print_warnings("", warnings)
    if as_json:
        result = {"batches": batches, "feeds_added": feeds_added, "lists_of_feeds": [added.key for added in lists]}
        print_json(result | {"warnings": [asdict(w) for w in warnings]})
