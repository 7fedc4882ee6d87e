"""What the runs of an instance do at this moment."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from podcast_assets.defs.partitions import BATCHES, UNFINISHED, batches_in_run
from podcast_assets.defs.runs.process import is_dead, machine_of
from podcast_assets.defs.runs.progress import read_progress
from podcast_assets.defs.runs.tags import SOURCE

QUEUED = (dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED)


@dataclass(frozen=True)
class RunActivity:
    """An unfinished run."""

    run_id: str
    job: str
    status: str
    """In lower case; `dead` if its process on this machine is gone, which Dagster may not have noticed yet."""
    source: str | None
    batches: Sequence[str]
    machine: str | None
    seconds: float
    """Since it started, or since it was created if it has not."""
    progress: dict[str, Any] = field(default_factory=dict)
    """See `podcast_assets.defs.runs.progress`; empty before the first episode."""


@dataclass(frozen=True)
class Activity:
    """Unfinished runs, the oldest first."""

    running: list[RunActivity]
    queued: list[RunActivity]


def read_activity(instance: dg.DagsterInstance) -> Activity:
    """Read the unfinished runs of an instance."""
    order, now = list(instance.get_dynamic_partitions(BATCHES)), time.time()
    records = instance.get_run_records(dg.RunsFilter(statuses=UNFINISHED))
    running, queued = list[RunActivity](), list[RunActivity]()
    for record in reversed(records):
        run = record.dagster_run
        began = record.start_time or record.create_timestamp.timestamp()
        activity = RunActivity(
            run_id=run.run_id,
            job=run.job_name,
            status="dead" if run.status not in QUEUED and is_dead(run) else run.status.value.lower(),
            source=run.tags.get(SOURCE),
            batches=batches_in_run(run, order),
            machine=machine_of(run),
            seconds=round(max(0.0, now - began), 1),
            progress=read_progress(run) or {},
        )
        (queued if run.status in QUEUED else running).append(activity)
    return Activity(running, queued)
