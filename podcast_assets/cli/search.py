"""`podcast-assets search`: find what was said, by words and by meaning."""

import datetime
import sys
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from podcast_assets.cli.terminal import json_option, load_settings, output, print_json, print_line
from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.common.printable import printable

if TYPE_CHECKING:
    from podcast_assets.catalog.search.results import Hit, SearchResults
    from podcast_assets.config.settings import Settings
    from podcast_assets.engines.engine import Engine


@click.command()
@click.argument("query")
@click.option(
    "--mode",
    type=click.Choice(["words", "meaning", "both"]),
    default="both",
    show_default=True,
    help="Find the query's words, texts of like meaning (PODCAST_EMBEDDER), or both together.",
)
@click.option("--limit", type=click.IntRange(1, 500), default=10, show_default=True, help="Most hits.")
@click.option(
    "--podcast", "podcasts", multiple=True, help="Title or guid of a podcast. This and the next four may be repeated."
)
@click.option("--episode", "episodes", multiple=True, help="Id of an episode.")
@click.option("--speaker", "speakers", multiple=True, help="Label of a speaker, such as SPEAKER_00.")
@click.option("--language", "languages", multiple=True, help="Language (ISO 639-1).")
@click.option("--batch", "batches", multiple=True, help="Name of a batch.")
@click.option("--after", type=click.DateTime(["%Y-%m-%d"]), help="First day of publication.")
@click.option("--before", type=click.DateTime(["%Y-%m-%d"]), help="Last day of publication.")
@click.option(
    "--score",
    "scores",
    multiple=True,
    metavar="CONDITION",
    help="Bound of a score, such as dnsmos_ovrl>=3; may be repeated.",
)
@click.option(
    "--flag",
    "flags",
    multiple=True,
    metavar="CONDITION",
    help="Bound of a content flag, such as POLICY.LABEL>0.5; may be repeated.",
)
@click.option(
    "--allow-remote",
    is_flag=True,
    help="Send the query to the server of the embedder openai (PODCAST_EMBEDDINGS_ALLOW_REMOTE).",
)
@json_option("hits and notes as a JSON object")
def search(query: str, mode: Any, limit: int, allow_remote: bool, as_json: bool, **filters: Any) -> None:
    """Search the catalog for QUERY: words, "exact phrases", -exclusions, OR, prefix*. By meaning, any text will do."""
    from podcast_assets.catalog.opening import open_catalog
    from podcast_assets.catalog.search.find import Searcher

    settings = load_settings()
    chosen = _make_filters(**filters)
    embedder = choose_allowed_embedder(settings, allow_remote=allow_remote) if mode != "words" else None
    with open_catalog(settings) as database:
        found = Searcher(database, embedder).search(query, mode=mode, filters=chosen, limit=limit)
    if as_json:
        # links are redacted already, and would lose their times
        print_json({"hits": found.to_dicts(), "notes": list(found.notes)}, redact=False)
    else:
        _print_hits(found)
    for note in found.notes:
        print_line((note, "yellow"))


def _make_filters(
    scores: tuple[str, ...],
    flags: tuple[str, ...],
    after: datetime.datetime | None,
    before: datetime.datetime | None,
    **names: Any,
) -> Any:
    from podcast_assets.catalog.search.filters import Filters, parse_flag, parse_score

    return Filters(
        scores=[parse_score(condition) for condition in scores],
        flags=[parse_flag(condition) for condition in flags],
        after=after.date() if after else None,
        before=before.date() if before else None,
        **names,
    )


def choose_allowed_embedder(settings: "Settings", *, allow_remote: bool) -> "Engine | None":
    """Choose the embedder; ask once at a terminal whether texts may be sent to a remote server.

    Raises:
        Misconfigured: there is no such embedder.
    """
    from podcast_assets.catalog.embeddings.choice import choose_embedder
    from podcast_assets.catalog.embeddings.openai import OpenAiEmbeddings

    engine = choose_embedder(settings, allow_remote=allow_remote)
    if not isinstance(engine, OpenAiEmbeddings) or engine.url is None or not sys.stdin.isatty():
        return engine
    try:
        engine.check_allowed()
    except EngineUnavailable as error:
        question = str(error).partition(". Nothing was sent")[0]
        if click.confirm(f"{question}. Send them?", err=True):
            return engine.model_copy(update={"allow_remote": True})
    return engine


def _print_hits(found: "SearchResults") -> None:
    if not found:
        print_line("nothing was found")
    for number, hit in enumerate(found, 1):
        output.print(_heading(number, hit), soft_wrap=True)
        around = (("  ", hit.before, "dim"), ("  ", hit.text, ""), ("  ", hit.after, "dim"))
        for indent, text, style in around:
            if text:
                output.print(Text(f"{indent}{text}", style), soft_wrap=True)
        # not by the console, which would redact the time as a fragment
        click.echo(printable(f"  {hit.link or f'{hit.batch}/{hit.source or hit.episode_id}'}"))
        click.echo()


def _heading(number: int, hit: "Hit") -> Text:
    from podcast_assets.catalog.search.results import clock_time

    where = " · ".join(filter(None, (hit.podcast, hit.title or hit.episode_id, hit.published and hit.published[:10])))
    return Text.assemble(
        (f"{number}. ", "bold"), (clock_time(hit.start), "bold cyan"), f"  {hit.speaker or ''}  ", (where, "green")
    )
