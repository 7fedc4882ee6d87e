"""`podcast-assets takedown` and `takedowns`: remove an episode or a podcast permanently, and list what was removed."""

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from podcast_assets.cli.terminal import (
    STORE,
    json_option,
    load_settings,
    make_table,
    open_store,
    output,
    print_json,
    print_line,
)
from podcast_assets.common.errors import Misconfigured
from podcast_assets.common.printable import printable_json
from podcast_assets.common.redaction import redact_text
from podcast_assets.common.wording import count_noun

if TYPE_CHECKING:
    from podcast_assets.config.settings import Settings
    from podcast_assets.rights.takedown import TakedownResult


@click.command()
@click.argument("name", metavar="EPISODE|FEED")
@click.option("--reason", required=True, help="Reason, recorded and shown wherever the episode is refused later.")
@click.option("--by", help="Who requested or carried out the takedown; recorded.")
@click.option("--dry-run", is_flag=True, help="Only show what would be removed.")
@click.option(
    "--keep-runs",
    is_flag=True,
    help="Leave the events that earlier versions recorded in Dagster as they are. They show parts of texts.",
)
@json_option("one JSON object")
@STORE
def takedown(
    name: str, reason: str, by: str | None, dry_run: bool, keep_runs: bool, as_json: bool, store: str | None
) -> None:
    """Permanently remove an EPISODE (id, batch/id, file, batch/file, SHA-256 or URL) or a podcast (FEED URL, guid or title).

    Removes audio, texts, table rows, samples in shards, and copies of the same bytes in other batches. A record stays, and content
    that arrives again is refused. The next release updates the published dataset. Run the command again to finish an interrupted
    takedown.
    """
    from podcast_assets.rights.takedown import TakedownRequest, result_to_json, take_down

    if not reason.strip():
        raise Misconfigured("--reason must not be empty: it is the only record of why")
    settings = load_settings(store=store)
    request = TakedownRequest(name.strip(), " ".join(reason.split()), by, datetime.datetime.now(datetime.UTC))
    result = take_down(
        open_store(settings), request, shard_bytes=settings.shard_bytes, dry_run=dry_run, report=print_line
    )
    if not keep_runs:
        _remove_from_events(settings, result, dry_run=dry_run)
    _remove_from_catalog(settings, result, dry_run=dry_run)
    if as_json:
        click.echo(printable_json(redact_text(result_to_json(result))))
    else:
        _print_result(result)


def _remove_from_events(settings: "Settings", result: "TakedownResult", *, dry_run: bool) -> None:
    """Remove texts and titles from Dagster's events of the batches, if there is an instance."""
    if not (settings.dagster_home / "dagster.yaml").exists():
        return
    import dagster as dg

    from podcast_assets.defs.instance import prepare_home
    from podcast_assets.defs.runs.history import remove_texts

    prepare_home(settings)
    with dg.DagsterInstance.get() as instance:
        events = remove_texts(instance, result.batches, dry_run=dry_run)
    if events:
        result.purged.counts["texts in events of Dagster"] += events


def _remove_from_catalog(settings: "Settings", result: "TakedownResult", *, dry_run: bool) -> None:
    """Remove the episodes from the catalog and from the backup of its decisions, if there is a catalog.

    Raises:
        Misconfigured: the catalog cannot be reached, and still has them.
    """
    from podcast_assets.catalog.connection import is_in_use
    from podcast_assets.catalog.kept import forget_texts
    from podcast_assets.catalog.loading.load import count_segments, remove_taken_down
    from podcast_assets.catalog.opening import open_catalog

    if not is_in_use(settings):
        return
    store, places = open_store(settings), result.record["episodes"]
    try:
        with open_catalog(settings) as engine:
            if dry_run:
                removed = count_segments(engine, places)
            else:
                removed = remove_taken_down(engine, store, places, words=settings.catalog_words)
    except Misconfigured as error:
        if dry_run:
            print_line((f"the catalog was not asked: {error}", "yellow"))
            return
        raise Misconfigured(
            f"it is removed from the store, and THE CATALOG STILL HAS IT: {error}. Then run `podcast-assets catalog load`"
        ) from error
    if removed:
        result.purged.counts["segments of the catalog" if dry_run else "rows of the catalog"] += removed
    if not dry_run and (texts := forget_texts(store, places)):
        result.purged.counts["texts in the backup of the catalog"] += texts


@click.command()
@json_option("a JSON array")
@STORE
def takedowns(as_json: bool, store: str | None) -> None:
    """List takedowns: what, when, why, and whether everything has been removed from the store."""
    from podcast_assets.store.takedown_records import read_records

    records = read_records(open_store(load_settings(store=store)))
    if as_json:
        print_json(records.to_dicts(), default=lambda d: d.isoformat())
        return
    table = make_table("what, and why", "date", "episodes", "state", numbers=("episodes",))
    for row in records.iter_rows(named=True):
        by = f" ({row['by']})" if row["by"] else ""
        table.add_row(
            Text(f"{row['scope']} {row['target']}\n  {row['reason']}{by}"),
            f"{row['at']:%Y-%m-%d}",
            str(len(row["episodes"])),
            _describe_state(row),
        )
    output.print(table)


def _describe_state(record: Mapping[str, Any]) -> Text:
    if record["finished_at"] is None:
        return Text("interrupted: run it again", "yellow")
    return Text("still in incoming/", "yellow") if record["remains"] else Text("removed")


def _print_result(result: "TakedownResult") -> None:
    record, purged = result.record, result.purged
    if record["episodes"]:
        episodes = count_noun(len(record["episodes"]), "episode")
        print_line(f"{record['scope']} {record['target']}: {episodes} in {', '.join(result.batches)}")
        removed = "to be removed" if purged.dry else "removed"
        table = make_table("what", removed, numbers=(removed,))
        for what, number in sorted(purged.counts.items()):
            table.add_row(Text(what), str(number))
        output.print(table)
        shards = count_noun(len(set(purged.shards)), "shard")
        print_line(f"{shards} {'would be ' if purged.dry else ''}rewritten or removed")
    else:
        print_line((f"{record['target']} is not in the store; it will be refused if it arrives", "yellow"))
    for warning in _warnings(result):
        print_line((warning, "yellow"))
    if not purged.dry:
        print_line("the published dataset is updated by the next release")


def _asset_of(shard_key: str) -> str:
    from podcast_assets.shards.sealing import grain_of_shard

    return grain_of_shard(shard_key.split("/", 2)[2]).asset


def _warnings(result: "TakedownResult") -> list[str]:
    """What is left for people to do."""
    return [
        *(
            f"{key} was damaged and has been removed: materialize {_asset_of(key)} of its batch again"
            for key in result.purged.damaged
        ),
        *(
            f"{key} still contains it, because archives are not rewritten: replace or remove it. Its content is refused meanwhile"
            for key in sorted(set(result.purged.remains))
        ),
        *(f"{place} is a near duplicate in a different file: take it down too?" for place in result.sound_the_same),
        *(f"{feed} is no longer polled, but still listed under feeds/: remove it there" for feed in result.feeds),
    ]
