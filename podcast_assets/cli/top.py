"""`podcast-assets top`: what runs now, how far it is, and what waits."""

import contextlib
import datetime
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import click
from rich.console import Group
from rich.live import Live
from rich.text import Text

from podcast_assets.cli.doctor.gpu import GpuLoad, read_loads
from podcast_assets.cli.terminal import (
    STORE,
    json_option,
    load_settings,
    make_table,
    open_store,
    output,
    print_json,
)
from podcast_assets.common.wording import count_noun, format_bytes, join_names

if TYPE_CHECKING:
    from rich.console import RenderableType

    from podcast_assets.defs.activity import Activity, RunActivity
    from podcast_assets.store.store import Store

_QUEUED_LISTED = 10
"""Queued runs that are listed; the others are counted."""
_LISTING_SECONDS = 30.0
"""Time between two listings of incoming/, which asks a bucket once per thousand files."""


@dataclass(frozen=True)
class _Waiting:
    """Batches under incoming/ that no run has begun."""

    batches: int
    files: int
    bytes: int


@click.command()
@click.option("--once", is_flag=True, help="Print the present state and end, as where the output is no terminal.")
@click.option(
    "--interval", type=click.FloatRange(0.5), default=2.0, show_default=True, help="Seconds between two readings."
)
@json_option("the present state as one JSON object")
@STORE
def top(once: bool, interval: float, as_json: bool, store: str | None) -> None:
    """Show what runs now, where, how far and how fast it is, the GPUs of this machine, and what waits. Ctrl+C ends it."""
    import dagster as dg

    from podcast_assets.defs.activity import Activity, read_activity
    from podcast_assets.defs.instance import prepare_home

    settings = load_settings(store=store)
    opened_store = open_store(settings)
    if not (settings.dagster_home / "dagster.yaml").exists():
        # nothing has run here, and looking must not create an instance
        _show_once(Activity([], []), _read_waiting(opened_store), as_json=as_json)
        return
    prepare_home(settings)
    with dg.DagsterInstance.get() as instance:
        activity, waiting = read_activity(instance), _read_waiting(opened_store)
        if once or as_json or not output.is_terminal:
            _show_once(activity, waiting, as_json=as_json)
            return
        listed, first = time.monotonic(), _render(activity, waiting, read_loads())
        # Ctrl+C is how people end it
        with contextlib.suppress(KeyboardInterrupt), Live(first, console=output, auto_refresh=False) as live:
            while True:
                time.sleep(interval)
                if time.monotonic() - listed >= _LISTING_SECONDS:
                    waiting, listed = _read_waiting(opened_store), time.monotonic()
                live.update(_render(read_activity(instance), waiting, read_loads()), refresh=True)


def _read_waiting(store: "Store") -> _Waiting:
    from podcast_assets.intake.arrivals import list_incoming

    begun = set(store.table_names("tables/raw_audio"))
    waiting = [a for batch, a in list_incoming(store).arrivals.items() if batch not in begun]
    return _Waiting(len(waiting), sum(len(a.files) for a in waiting), sum(a.bytes for a in waiting))


def _show_once(activity: "Activity", waiting: _Waiting, *, as_json: bool) -> None:
    gpus = read_loads()
    if as_json:
        runs = {"running": activity.running, "queued": activity.queued}
        print_json(
            {kind: [asdict(run) for run in found] for kind, found in runs.items()}
            | {"waiting": asdict(waiting), "gpus": [asdict(gpu) for gpu in gpus]}
        )
    else:
        output.print(_render(activity, waiting, gpus))


def _render(activity: "Activity", waiting: _Waiting, gpus: Sequence[GpuLoad]) -> "RenderableType":
    parts: list[RenderableType] = [
        Text(
            f"{count_noun(len(activity.running), 'run')} active, {len(activity.queued):,} queued; "
            f"{count_noun(waiting.batches, 'batch')} with {count_noun(waiting.files, 'file')} "
            f"({format_bytes(waiting.bytes, 'B')}) under incoming/ not begun"
        )
    ]
    if activity.running:
        numbers = ("episodes", "x real time", "left")
        table = make_table("run", "batch", "stage", *numbers, "where", numbers=numbers, no_wrap=("run", *numbers))
        for run in activity.running:
            table.add_row(*_cells(run))
        parts.append(table)
    if activity.queued:
        table = make_table(
            "queued run", "batches", "from", "since", numbers=("since",), no_wrap=("queued run", "since")
        )
        for run in activity.queued[:_QUEUED_LISTED]:
            table.add_row(
                Text(run.run_id[:8]), Text(join_names(run.batches, 3)), Text(run.source or "UI"), _clock(run.seconds)
            )
        parts.append(table)
        if len(activity.queued) > _QUEUED_LISTED:
            parts.append(Text(f"and {len(activity.queued) - _QUEUED_LISTED:,} more queued"))
    parts += [
        Text(f"GPU {gpu.index} {gpu.name}: {gpu.busy} % busy, {gpu.used / 1e9:.1f} of {gpu.memory / 1e9:.1f} GB in use")
        for gpu in gpus
    ]
    return Group(*parts)


def _cells(run: "RunActivity") -> list[Text]:
    """Cells of an active run: its id, batch, stage, episodes, speed, time left, and place."""
    state = run.progress
    if not state:
        doing = run.job if run.status == "started" and not run.batches else run.status
        return [*map(Text, (run.run_id[:8], join_names(run.batches, 3), doing, "", "", "", run.machine or ""))]
    failed = f", {state['failed']} failed" if state["failed"] else ""
    age = time.time() - state["time"]
    handled = state["done"] + state["failed"]
    left = _clock(max(0.0, state["seconds_left"] - age)) if 0 < handled < state["total"] else ""
    where = (state["machine"] or run.machine or "") + (f", GPU {state['gpu']}" if state["gpu"] else "")
    stage = state["stage"] if run.status == "started" else f"{state['stage']} ({run.status})"
    speed = "" if state["x_real_time"] is None else f"{state['x_real_time']:,.1f}"
    return [
        Text(run.run_id[:8]),
        Text(state["batch"]),
        Text(stage),
        Text(f"{handled:,} of {state['total']:,}{failed}"),
        Text(speed),
        Text(left),
        Text(where),
    ]


def _clock(seconds: float) -> str:
    return str(datetime.timedelta(seconds=round(seconds)))
