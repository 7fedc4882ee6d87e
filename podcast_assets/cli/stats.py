"""`podcast-assets stats`: totals of all batches, and groups by time, language, podcast, engine, GPU or status."""

import datetime
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from podcast_assets.cli.queue import print_pause
from podcast_assets.cli.terminal import (
    STORE,
    json_option,
    load_settings,
    make_table,
    open_store,
    output,
    print_json,
    print_line,
    print_refused,
)
from podcast_assets.common.periods import parse_since
from podcast_assets.common.wording import count_noun, format_bytes
from podcast_assets.stages.statistics.groups import GROUPS

if TYPE_CHECKING:
    from podcast_assets.config.settings import Settings
    from podcast_assets.stages.statistics.totals import Statistics

_REASONS = 10
"""Reasons of failures that are printed without --json."""
_SLOW_COUNT = 200
"""Batches to count from which progress is printed."""


def _since(_context: click.Context, _parameter: click.Parameter, value: str | None) -> datetime.datetime | None:
    try:
        return None if value is None else parse_since(value, datetime.datetime.now(datetime.UTC))
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command()
@click.option("--by", type=click.Choice(GROUPS), help="Also list groups: by day, hour (UTC), language, podcast, …")
@click.option(
    "--since",
    callback=_since,
    metavar="PERIOD|DATE",
    help="Only what was finished or failed since then, to the hour: 24h, 7d, 2w, or a date or time such as 2026-11-30 (UTC).",
)
@click.option(
    "--limit",
    type=click.IntRange(0),
    default=50,
    show_default=True,
    help="Maximum number of groups to print: the newest, or those with the most hours; 0 prints all.",
)
@json_option("all as one JSON object, with all groups,")
@STORE
def stats(by: str | None, since: datetime.datetime | None, limit: int, as_json: bool, store: str | None) -> None:
    """Show episodes, hours, bytes, success rate, speed of the stages, failures by reason, and what waits, of all batches.

    Counts are kept in the store; only batches that changed since are read again.
    """
    from podcast_assets.intake.arrivals import list_incoming
    from podcast_assets.stages.statistics.queue import count_queue
    from podcast_assets.stages.statistics.refresh import refresh_statistics
    from podcast_assets.stages.statistics.totals import compute_statistics

    settings = load_settings(store=store)
    opened_store = open_store(settings)
    with ThreadPoolExecutor(1, thread_name_prefix="incoming") as lister:
        listing = lister.submit(list_incoming, opened_store)
        refreshed = refresh_statistics(opened_store, _print_progress)
        incoming = listing.result()
    if refreshed.not_saved and refreshed.counted >= _SLOW_COUNT:
        print_line((f"the counts are not kept, and the next call counts again: {refreshed.not_saved}", "yellow"))
    queued, active = _runs(settings) or (None, None)
    queue = count_queue(refreshed.rows, incoming, runs_queued=queued, runs_active=active)
    statistics = compute_statistics(refreshed.rows, queue, by=by, since=since)
    print_refused(incoming)
    print_pause(settings)
    if as_json:
        print_json(statistics.to_json(), default=str)
    else:
        _show(statistics, limit)


def _print_progress(done: int, total: int) -> None:
    if total >= _SLOW_COUNT:
        print_line(f"counted {done:,} of {total:,} new or changed batches")


def _runs(settings: "Settings") -> tuple[int, int] | None:
    """Queued and active runs of Dagster; None without an instance, or if its database does not answer."""
    from podcast_assets.defs.unfinished_runs import count_unfinished_runs

    home = settings.dagster_home
    if not (home / "dagster.yaml").exists():
        return None
    counts = count_unfinished_runs(home)
    if counts is not None or "storage:" not in (home / "dagster.yaml").read_text():
        return counts
    import dagster as dg

    from podcast_assets.cli.database_errors import describe_database_error
    from podcast_assets.defs.instance import prepare_home

    prepare_home(settings)
    waiting = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED]
    active = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
    try:
        with dg.DagsterInstance.get() as instance:
            queued, running = (instance.get_runs_count(dg.RunsFilter(statuses=s)) for s in (waiting, active))
            return queued, running
    except Exception as error:
        line = describe_database_error(error)
        if line is None:
            raise
        print_line((f"the number of runs is not known: {line}", "yellow"))
        return None


# -- terminal output --------------------------------------------------------------------------------------------------------


def _show(statistics: "Statistics", limit: int) -> None:
    for line in _summary_lines(statistics):
        output.print(Text(line), soft_wrap=True)
    if statistics.stages:
        table = make_table("stage", "episodes", "hours", "x real time", numbers=("episodes", "hours", "x real time"))
        for row in statistics.stages:
            table.add_row(Text(row["stage"]), *_work_cells(row))
        output.print(table)
    if statistics.failures:
        table = make_table(
            "why episodes failed", "stage", "episodes", numbers=("episodes",), no_wrap=("stage", "episodes")
        )
        for row in statistics.failures[:_REASONS]:
            table.add_row(Text(row["reason"]), Text(row["stage"]), f"{row['episodes']:,}")
        output.print(table)
        if len(statistics.failures) > _REASONS:
            print_line(f"{_REASONS} of {len(statistics.failures)} reasons; --json has all")
    if statistics.by is not None:
        _show_groups(statistics, statistics.by, limit)


def _summary_lines(statistics: "Statistics") -> list[str]:
    from podcast_assets.stages.statistics.totals import STATES

    episodes, queue, batches = statistics.episodes, statistics.queue, statistics.batches
    rate = "" if statistics.success_rate is None else f", success rate {statistics.success_rate:.1%}"
    waiting = (
        f"{count_noun(queue.batches_waiting, 'batch')} with {count_noun(queue.files_waiting, 'file')} "
        f"({format_bytes(queue.bytes_waiting, 'B')}) not begun; "
        f"{count_noun(queue.episodes_pending, 'episode')} ({queue.hours_pending:,.2f} h) in begun batches"
    )
    runs = "" if queue.runs_queued is None else f"; runs: {queue.runs_queued:,} queued, {queue.runs_active:,} active"
    period = f" since {statistics.since}" if statistics.since else ""
    return [
        f"batches: {batches['total']:,}, of which {', '.join(f'{batches[state]:,} {state}' for state in STATES)}",
        f"episodes{period}: {episodes['done']:,} done, {episodes['failed']:,} failed, {episodes['skipped']:,} skipped, "
        f"{episodes['discarded']:,} discarded, {episodes['pending']:,} pending{rate}",
        f"done{period}: {statistics.hours:,.2f} h, {format_bytes(statistics.bytes, 'B')}",
        f"waiting: {waiting}{runs}",
    ]


def _show_groups(statistics: "Statistics", by: str, limit: int) -> None:
    groups = statistics.groups
    shown = groups[-limit:] if by in ("day", "hour") and limit else groups[: limit or None]
    if by in ("engine", "gpu"):
        numbers = ("episodes", "hours", "x real time")
        table = make_table(by, "stage", *numbers, numbers=numbers, no_wrap=("stage", *numbers))
        for row in shown:
            table.add_row(Text(row[by]), Text(row["stage"]), *_work_cells(row))
    elif by == "status":
        numbers = ("episodes", "hours", "size")
        table = make_table(by, *numbers, numbers=numbers)
        for row in shown:
            table.add_row(row[by], f"{row['episodes']:,}", f"{row['hours']:,.2f}", format_bytes(row["bytes"], "B"))
    else:
        numbers = ("done", "failed", "skipped", "pending", "success", "hours", "size")
        table = make_table(by, *numbers, numbers=numbers, no_wrap=numbers)
        for row in shown:
            rate = "" if row["success_rate"] is None else f"{row['success_rate']:.1%}"
            counts = (f"{row[status]:,}" for status in ("done", "failed", "skipped", "pending"))
            table.add_row(Text(row[by]), *counts, rate, f"{row['hours']:,.2f}", format_bytes(row["bytes"], "B"))
    output.print(table)
    if len(groups) > len(shown):
        print_line(f"{len(shown)} of {len(groups)} groups; --limit 0 prints all")


def _work_cells(row: dict[str, Any]) -> tuple[str, str, str]:
    speed = "" if row["x_real_time"] is None else f"{row['x_real_time']:,.1f}"
    return f"{row['episodes']:,}", f"{row['hours']:,.2f}", speed
