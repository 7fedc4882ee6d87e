"""`podcast-assets backfill`: materialize many batches in few runs, or cancel a backfill."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from podcast_assets.cli.redo import YES, confirm_redo
from podcast_assets.cli.remote_texts import confirm_remote
from podcast_assets.cli.terminal import (
    PROFILE,
    STORE,
    load_settings,
    open_store,
    print_line,
    print_refused,
    print_warnings,
)
from podcast_assets.common.errors import BadInput, Misconfigured
from podcast_assets.common.wording import count_noun, join_names

if TYPE_CHECKING:
    import dagster as dg

    from podcast_assets.config.settings import Settings


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
@YES
@PROFILE
@STORE
def backfill(
    batches: tuple[str, ...],
    everything: bool,
    missing: bool,
    failed: bool,
    here: bool,
    cancel: str | None,
    yes: bool,
    profile: str | None,
    store: str | None,
) -> None:
    """Materialize BATCHES in as few runs as the assets' backfill policies allow. Run it again to resume."""
    import dagster as dg

    from podcast_assets.defs.instance import prepare_home
    from podcast_assets.defs.launch import cancel_backfill

    settings = load_settings(profile=profile, store=store)
    prepare_home(settings)
    with dg.DagsterInstance.get() as instance:
        if cancel:
            cancel_backfill(instance, cancel)
            print_line(f"backfill {cancel} is being canceled; resume it with `podcast-assets backfill --missing`")
            return
        chosen = _available_batches(
            instance, settings, batches, everything=everything or ((missing or failed) and not batches)
        )
        if missing or failed:
            chosen = _select_unfinished(instance, settings, chosen, failed=failed, missing=missing)
        if chosen:
            confirm_redo(instance, settings, open_store(settings), chosen, yes=yes, here=here)
        if not chosen:
            print_line("nothing to do")
        elif not here:
            submit_backfill(instance, settings, chosen)
        elif not run_batches_here(instance, settings, chosen):
            sys.exit(1)


def submit_backfill(instance: "dg.DagsterInstance", settings: "Settings", batches: Sequence[str]) -> None:
    """Submit a backfill of batches to the Dagster daemon, and print its id."""
    from podcast_assets.defs.launch import request_backfill

    backfill_id = request_backfill(instance, settings, batches)
    print_line(
        f"backfill {backfill_id} of {count_noun(len(batches), 'batch')} requested; the daemon (podcast-assets dev) runs it"
    )


def run_batches_here(instance: "dg.DagsterInstance", settings: "Settings", batches: Sequence[str]) -> bool:
    """Run batches in this process; return whether all of them finished, and each has an episode that did not fail."""
    from podcast_assets.defs.instance import end_dead_runs
    from podcast_assets.defs.launch import run_in_process, split_into_ranges
    from podcast_assets.defs.partitions import BATCHES, add_batches
    from podcast_assets.stages.batch_warnings import read_batch_warnings
    from podcast_assets.stages.report import batch_report, nothing_done

    settings = confirm_remote(settings)
    store = open_store(settings)
    end_dead_runs(instance)
    add_batches(instance, batches)
    pending = list(split_into_ranges(batches, list(instance.get_dynamic_partitions(BATCHES))))
    succeeded = True
    while pending:
        chunk = pending.pop(0)
        outcome = run_in_process(instance, settings, chunk, source="backfill")
        reports = [batch_report(store, batch, {}) for batch in chunk] if outcome.succeeded else []
        without_result = [why for report in reports if (why := nothing_done(report))]
        state = outcome.error or ("finished" if without_result else "done")
        print_line(f"run {outcome.run_id[:8]}: {', '.join(chunk)}: {state}")
        for why in without_result:
            print_line((why, "red"))
            succeeded = False
        for report in reports:
            print_warnings(f"batch {report.batch} ", report.warnings)
        if not outcome.succeeded and len(chunk) == 1:
            print_warnings(f"batch {chunk[0]} ", read_batch_warnings(store, chunk[0]))
        if not outcome.succeeded and len(chunk) > 1:
            pending[:0] = [[batch] for batch in chunk]  # each on its own, so that one bad batch stops no other
        elif not outcome.succeeded:
            succeeded = False
    return succeeded


def _available_batches(
    instance: "dg.DagsterInstance", settings: "Settings", batches: Sequence[str], *, everything: bool
) -> list[str]:
    """Return the requested batches whose sources still exist.

    Raises:
        BadInput: a named batch is not under `incoming/`, or there are no batches.
        Misconfigured: no batch was named.
    """
    from podcast_assets.defs.partitions import BATCHES
    from podcast_assets.intake.arrivals import list_incoming

    incoming = list_incoming(open_store(settings))
    arrivals = incoming.arrivals
    if everything:
        print_refused(incoming)
    if unknown := [b for b in batches if b not in arrivals]:
        raise BadInput(f"not found under incoming/: {join_names(unknown)}")
    requested = dict.fromkeys([*instance.get_dynamic_partitions(BATCHES), *arrivals] if everything else batches)
    if gone := [b for b in requested if b not in arrivals]:
        print_line((f"skipped, because their sources are no longer under incoming/: {join_names(gone)}", "yellow"))
    available = [b for b in requested if b in arrivals]
    if not available:
        raise (
            BadInput("there are no batches under incoming/")
            if everything
            else Misconfigured("name batches, or pass --all")
        )
    return available


def _select_unfinished(
    instance: "dg.DagsterInstance", settings: "Settings", batches: Sequence[str], *, failed: bool, missing: bool
) -> list[str]:
    """Select the batches that are unfinished or have retryable failures, and are in no queued or active run."""
    from podcast_assets.defs.partitions import busy_batches
    from podcast_assets.stages import unfinished

    store = open_store(settings)
    selected = {
        *(unfinished.missing(store, batches) if missing else ()),
        *(unfinished.with_retryable_failures(store, batches) if failed else ()),
    }
    if busy := selected & busy_batches(instance):
        print_line(f"already in a queued or active run: {count_noun(len(busy), 'batch')}")
    return [b for b in batches if b in selected - busy]
