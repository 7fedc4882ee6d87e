"""Progress of the stage that a run is at: lines in the log of the run, and a hidden tag of it, which `podcast-assets top` reads."""

import json
import math
import time
from typing import Any

import dagster as dg

from podcast_assets.stages.progress import Progress, Report

PROGRESS = ".dagster/podcast/progress"
"""Tag with the progress as JSON. It is read with the runs, from any machine, and is as old as its run's last line of progress."""

SECONDS = 2.0
"""Minimum time between two lines. Each is a row in Dagster's database, which takes SQLite 10 to 20 ms."""
SHARE = 0.01
"""Minimum time between two lines as a share of the time that the stage has taken: 600 lines a day, in place of 43,000."""


def report_progress(context: dg.AssetExecutionContext) -> Report:
    """Record progress after the first and the last episode, and otherwise when it is due, see `SECONDS` and `SHARE`.

    The beginning of a stage, which Dagster logs itself, is recorded in the tag only.
    """
    written = -math.inf

    def report(progress: Progress) -> None:
        nonlocal written
        handled, now = progress.done + progress.failed, time.monotonic()
        if handled in (0, 1, progress.total) or now - written >= max(SECONDS, SHARE * progress.elapsed):
            if handled:
                context.log.info(str(progress), extra={"episode": progress.last})
            run_id = context.run.run_id
            tag = json.dumps(_to_json(progress) | {"time": round(time.time(), 1), "run": run_id})
            context.instance.add_run_tags(run_id, {PROGRESS: tag})
            written = now

    return report


def read_progress(run: dg.DagsterRun) -> dict[str, Any] | None:
    """Read the progress of a run, with the POSIX time `time` of its record; None if no stage of it has begun.

    A retry has the tags of the run that it repeats, whose progress is not its own.
    """
    try:
        found = json.loads(run.tags.get(PROGRESS, "null"))
    except ValueError:
        return None
    return found if isinstance(found, dict) and found.get("run") == run.run_id else None


def _to_json(progress: Progress) -> dict[str, Any]:
    return {
        "batch": progress.batch,
        "stage": progress.stage,
        "done": progress.done,
        "failed": progress.failed,
        "total": progress.total,
        "hours": round(progress.audio_seconds / 3600, 4),
        "hours_left": round(progress.audio_left / 3600, 4),
        "seconds": round(progress.elapsed, 1),
        "seconds_left": round(progress.seconds_left, 1),
        "x_real_time": round(progress.speed, 1) or None,
        "machine": progress.place.node if progress.place else None,
        "gpu": progress.place.gpu if progress.place else None,
    }
