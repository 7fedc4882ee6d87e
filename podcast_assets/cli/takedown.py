"""`podcast-assets takedown` and `takedowns`: remove an episode or a podcast permanently, and list what was removed."""

import datetime
import json
from typing import TYPE_CHECKING

import click
from rich import box
from rich.table import Table
from rich.text import Text

from podcast_assets.cli.terminal import STORE, count_noun, load_settings, output, print_line
from podcast_assets.common.errors import Misconfigured

if TYPE_CHECKING:
    from podcast_assets.config.settings import Settings
    from podcast_assets.rights.takedown import TakedownResult


@click.command()
@click.argument("name", metavar="EPISODE|FEED")
@click.option("--reason", required=True, help="Reason, recorded and shown wherever the episode is refused later.")
@click.option("--by", help="Who requested or carried out the takedown; recorded.")
@click.option("--dry-run", is_flag=True, help="Only show what would be removed.")
@click.option(
    "--keep-runs", is_flag=True, help="Keep the Dagster runs of the batches, whose events show parts of texts."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
@STORE
def takedown(
    name: str, reason: str, by: str | None, dry_run: bool, keep_runs: bool, as_json: bool, store: str | None
) -> None:
    """Permanently remove an EPISODE (id, batch/id, file, SHA-256 or URL) or a podcast (FEED URL, guid or title).

    All of it goes: audio, texts, rows, samples in shards, copies of the same bytes in other batches. A record stays, and what comes
    again is refused. The published dataset follows at the next release. The same command again finishes what was broken off.
    """
    from podcast_assets.rights.takedown import TakedownRequest, take_down
    from podcast_assets.rights.takedown import result_to_json as told
    from podcast_assets.store.store import Store

    if not reason.strip():
        raise Misconfigured("--reason must not be empty: it is the only record of why")
    settings = load_settings(store=store)
    order = TakedownRequest(name.strip(), " ".join(reason.split()), by, datetime.datetime.now(datetime.UTC))
    outcome = take_down(
        Store.at(settings.store), order, shard_bytes=settings.shard_bytes, dry_run=dry_run, report=print_line
    )
    if not keep_runs:
        _forget_runs(settings, outcome, dry_run=dry_run)
    if as_json:
        click.echo(told(outcome))
    else:
        _print_result(outcome)


def _forget_runs(settings: "Settings", outcome: "TakedownResult", *, dry_run: bool) -> None:
    """Delete the Dagster runs of the batches, if there is an instance."""
    if not (settings.dagster_home / "dagster.yaml").exists():
        return
    import dagster as dg

    from podcast_assets.defs.instance import prepare_home
    from podcast_assets.defs.runs.history import delete_runs

    prepare_home(settings)
    with dg.DagsterInstance.get() as instance:
        found = delete_runs(instance, outcome.batches, dry_run=dry_run)
    if found.deleted:
        outcome.purged.counts["runs of Dagster"] += found.deleted
    if found.busy:
        runs = ", ".join(run_id[:8] for run_id in found.busy)
        print_line(
            (
                f"runs of these batches are queued or active ({runs}): run the same command again when they have ended",
                "yellow",
            )
        )


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array on standard output.")
@STORE
def takedowns(as_json: bool, store: str | None) -> None:
    """List takedowns: what, when, why, and whether everything has been removed from the store."""
    from podcast_assets.store.store import Store
    from podcast_assets.store.takedown_records import read_records

    found = read_records(Store.at(load_settings(store=store).store))
    if as_json:
        click.echo(json.dumps(found.to_dicts(), ensure_ascii=False, default=lambda d: d.isoformat()))
        return
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for column in ("what, and why", "date", "episodes", "state"):
        table.add_column(column, justify="right" if column == "episodes" else "left", overflow="fold")
    for row in found.iter_rows(named=True):
        state = (
            "broken off: order it again"
            if row["finished_at"] is None
            else "still in incoming/"
            if row["remains"]
            else "gone"
        )
        table.add_row(
            Text(f"{row['scope']} {row['target']}\n  {row['reason']}{f' ({by})' if (by := row['by']) else ''}"),
            f"{row['at']:%Y-%m-%d}",
            str(len(row["episodes"])),
            Text(state, "" if state == "gone" else "yellow"),
        )
    output.print(table)


def _print_result(outcome: "TakedownResult") -> None:
    record, purged = outcome.record, outcome.purged
    would = "would go" if purged.dry else "gone"
    count = len(record["episodes"])
    if not count:
        print_line((f"{record['target']} is not in the store; it will be refused if it arrives", "yellow"))
    else:
        print_line(
            f"{record['scope']} {record['target']}: {count_noun(count, 'episode')} in {', '.join(outcome.batches)}"
        )
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        table.add_column("what", overflow="fold")
        table.add_column(would, justify="right")
        for what, number in sorted(purged.counts.items()):
            table.add_row(Text(what), str(number))
        output.print(table)
        shards = count_noun(len(set(purged.shards)), "shard")
        print_line(f"{shards} {'would be ' if purged.dry else ''}rewritten or removed")
    for key in purged.damaged:
        print_line((f"{key} was damaged and has been removed: materialize hf_shards of its batch again", "yellow"))
    for key in sorted(set(purged.remains)):
        print_line(
            (
                f"{key} still contains it: replace or remove this archive, which is not rewritten. It is refused from there",
                "yellow",
            )
        )
    for place in outcome.sound_the_same:
        print_line((f"{place} is a near duplicate in a different file: take it down too?", "yellow"))
    for feed in outcome.feeds:
        print_line((f"{feed} is no longer polled, but still listed under feeds/: remove it there", "yellow"))
    if not purged.dry:
        print_line("the published dataset is updated by the next release")
