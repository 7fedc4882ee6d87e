"""`podcast-assets submit`: add files, URLs and feeds to the store."""

from dataclasses import asdict

import click

from podcast_assets.cli.lists import check_pages, print_licence, print_metadata, print_places, submit_lists
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
    "--license", "licence", help="Licence (SPDX id, such as CC-BY-4.0, or a URL) of episodes and feeds that give none."
)
@click.option("--podcast", help="Podcast of episodes that give none.")
@click.option("--title", help="Title of the episode: for one URL.")
@click.option("--speakers", metavar="N|MIN-MAX", help="Number of speakers in each episode, or its range, such as 2-4.")
@click.option(
    "--feed/--episode",
    "feeds",
    default=None,
    help="Treat the URLs as feeds or as episodes. Default: decided by their paths.",
)
@click.option(
    "--with",
    "tool",
    type=click.Choice(["yt-dlp"]),
    help="The URLs, and those of lists, are pages, such as of YouTube: find their audio with yt-dlp (extra yt-dlp).",
)
@json_option("one JSON object")
@STORE
def submit(
    inputs: tuple[str, ...],
    batch: str | None,
    language: str | None,
    licence: str | None,
    podcast: str | None,
    title: str | None,
    speakers: str | None,
    feeds: bool | None,
    tool: str | None,
    as_json: bool,
    store: str | None,
) -> None:
    """Add files, archives, episode URLs, lists of them, feeds or OPML lists to the store. `podcast-assets dev` processes them.

    Files, folders and archives become one batch. Episode URLs become another, as a list of URLs, and so do tables (.jsonl, .csv,
    .tsv, .parquet) with a column url; other tables are metadata of the files that are given with them. Feeds and OPML lists are
    polled from then on. Licence, podcast, title and speakers of a URL are written into its row, and replace what an earlier
    command said; of files and lists they hold where their own metadata say nothing.
    """
    from podcast_assets.intake.downloads.pages import DOWNLOAD_WITH
    from podcast_assets.intake.given_metadata import GivenMetadata
    from podcast_assets.intake.given_tables import sort_tables
    from podcast_assets.intake.inspection import inspect_inputs
    from podcast_assets.intake.submit import FEEDS, sort_inputs, submit_feeds, submit_files, submit_opml, submit_urls

    settings = load_settings(store=store)
    opened_store = open_store(settings)
    found = sort_inputs(inputs, feeds=False if tool and feeds is None else feeds)
    tables = sort_tables(found.places, settings.meta_key)
    if tool:
        check_pages(found.urls, others=bool(tables.files or found.feeds or found.lists_of_feeds))
    if batch and tables.files and (found.urls or tables.lists):
        raise Misconfigured("files and URLs cannot share a batch: submit them separately, each with its own --batch")
    if title and (len(found.urls) != 1 or found.places or found.feeds or found.lists_of_feeds):
        raise Misconfigured("--title is for one URL of an episode; titles of files and lists belong in their metadata")
    if (podcast or speakers) and (found.feeds or found.lists_of_feeds):
        raise Misconfigured("--podcast and --speakers are for episodes; a feed says itself what it is called")
    if licence and found.lists_of_feeds:
        raise Misconfigured(
            "--license is not for OPML lists: submit their feeds by URL, or as a table with the column license"
        )
    given = GivenMetadata(language, licence, podcast, title, speakers).row() | ({DOWNLOAD_WITH: tool} if tool else {})
    batches: list[str] = []
    feeds_added = 0
    warnings = inspect_inputs(tables.files, settings.meta_key, follow_links=settings.allow_links)
    if tables.files:
        batches.append(submit_files(opened_store, tables.files, batch, given))
        print_line(f"batch {batches[-1]} is complete under incoming/")
        print_metadata(tables.metadata, settings.meta_key)
    of_lists, about_lists = submit_lists(opened_store, tables.lists, batch, given)
    batches += of_lists
    warnings += about_lists
    if found.urls:
        batches.append(submit_urls(opened_store, found.urls, batch, given))
        print_line(
            f"batch {batches[-1]}: a list of {count_noun(len(found.urls), 'episode URL')} (pass --feed if they are feeds)"
        )
        print_places(found.urls, settings)
    if found.feeds:
        feeds_added = submit_feeds(opened_store, found.feeds, given)
        print_line(f"{count_noun(feeds_added, 'new feed')} in {FEEDS} (pass --episode if they are episodes)")
    if licence:
        print_licence(licence, settings)
    lists = [submit_opml(opened_store, file) for file in found.lists_of_feeds]
    for added in lists:
        print_line(f"{added.key}: {count_noun(added.feeds, 'feed')}, polled from now on")
    warnings += [BatchWarning("feeds_damaged", added.key, added.trouble) for added in lists if added.trouble]
    print_warnings("", warnings)
    if as_json:
        result = {
            "batches": list(dict.fromkeys(batches)),
            "feeds_added": feeds_added,
            "lists_of_feeds": [added.key for added in lists],
        }
        print_json(result | {"warnings": [asdict(w) for w in warnings]})
