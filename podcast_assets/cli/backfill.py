"""`podcast-assets backfill`: materialize many batches in few runs, and cancel a backfill."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from podcast_assets.cli.terminal import PROFILE, STORE, load_settings, print_line
from podcast_assets.common.errors import BadInput, Misconfigured

if TYPE_CHECKING:
    import dagster as dg

    from podcast_assets.config.settings import Settings

_NAMED = 10
"""Names that a message holds at most."""


@click.command()
@click.argument("batches", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All batches that are partitions or are under incoming/.")
@click.option(
    "--missing",
    is_flag=True,
    help="Only batches that are unfinished and in no active run; of all batches if none is named.",
)
@click.option(
    "--failed",
    is_flag=True,
    help="Only batches with retryable failures (not caused by the data) and in no active run; of all if none is named.",
)
@click.option(
    "--here", is_flag=True, help="Run in this process instead of submitting a backfill to the Dagster daemon."
)
@click.option("--cancel", metavar="ID", help="Cancel a backfill and its queued runs; finished work is kept.")
@PROFILE
@STORE
def backfill(
    batches: tuple[str, ...],
    everything: bool,
    missing: bool,
    failed: bool,
    here: bool,
    cancel: str | None,
    profile: str | None,
    store: str | None,
) -> None:
    """Materialize BATCHES in as few runs as the assets' backfill policies allow. Run it again to resume."""
    import dagster as dg

    from podcast_assets.defs.instance import prepare_home
    from podcast_assets.defs.launch import cancel_backfill, request_backfill

    settings = load_settings(profile=profile, store=store)
    prepare_home(settings)
    with dg.DagsterInstance.get() as instance:
        if cancel:
            cancel_backfill(instance, cancel)
            print_line(f"backfill {cancel} is being cancelled; resume it with `podcast-assets backfill --missing`")
            return
        chosen = _available_batches(
            instance, settings, batches, everything=everything or ((missing or failed) and not batches)
        )
        if missing or failed:
            chosen = _to_do(instance, settings, chosen, failed=failed, missing=missing)
        if not chosen:
            print_line("nothing to do")
            return
        if not here:
            identity = request_backfill(instance, settings, chosen)
            print_line(f"backfill {identity} of {len(chosen)} batches requested; the daemon (make dev) runs it")
            return
        if not run_batches_here(instance, settings, chosen):
            sys.exit(1)


def _available_batches(
    instance: "dg.DagsterInstance", settings: "Settings", batches: Sequence[str], *, everything: bool
) -> list[str]:
    """Return the requested batches whose sources still exist.

    Raises:
        BadInput: nothing lies under `incoming/`, or not what was named.
        Misconfigured: nothing was named.
    """
    from podcast_assets.defs.partitions import BATCHES
    from podcast_assets.intake.arrivals import list_incoming
    from podcast_assets.store.store import Store

    there = list_incoming(Store.at(settings.store)).arrivals
    chosen = list(dict.fromkeys([*instance.get_dynamic_partitions(BATCHES), *there] if everything else batches))
    if unknown := [b for b in batches if b not in there]:
        raise BadInput(f"not found under incoming/: {', '.join(unknown[:_NAMED])}")
    if gone := [b for b in chosen if b not in there]:
        more = f" and {len(gone) - _NAMED} more" if len(gone) > _NAMED else ""
        print_line(
            (
                f"skipped, because their sources are no longer under incoming/: {', '.join(gone[:_NAMED])}{more}",
                "yellow",
            )
        )
        chosen = [b for b in chosen if b in there]
    if not chosen:
        raise (
            BadInput("there are no batches under incoming/")
            if everything
            else Misconfigured("name batches, or pass --all")
        )
    return chosen


def _to_do(
    instance: "dg.DagsterInstance", settings: "Settings", batches: Sequence[str], *, failed: bool, missing: bool
) -> list[str]:
    """Batches that are unfinished or have retryable failures, and are in no queued or active run."""
    from podcast_assets.defs.partitions import busy_batches
    from podcast_assets.stages import unfinished
    from podcast_assets.store.store import Store

    store = Store.at(settings.store)
    wanted = {
        *(unfinished.missing(store, batches) if missing else ()),
        *(unfinished.with_passing_failures(store, batches) if failed else ()),
    }
    if busy := wanted & busy_batches(instance):
        print_line(f"{len(busy)} batches are already in a queued or active run")
    return [b for b in batches if b in wanted - busy]


def run_batches_here(instance: "dg.DagsterInstance", settings: "Settings", batches: Sequence[str]) -> bool:
    """Run batches in this process and return whether all of them finished."""
    from podcast_assets.defs.instance import end_dead_runs
    from podcast_assets.defs.launch import add_batches, run_in_process, split_into_ranges
    from podcast_assets.defs.partitions import BATCHES

    end_dead_runs(instance)
    add_batches(instance, batches)
    parts = list(split_into_ranges(batches, list(instance.get_dynamic_partitions(BATCHES))))
    good = True
    while parts:
        part = parts.pop(0)
        outcome = run_in_process(instance, settings, part, source="backfill")
        print_line(f"run {outcome.run_id[:8]}: {', '.join(part)}: {outcome.error or 'done'}")
        if not outcome.succeeded and len(part) > 1:
            parts[:0] = [[batch] for batch in part]  # so that one bad batch does not keep the others from their end
        elif not outcome.succeeded:
            good = False
    return good
