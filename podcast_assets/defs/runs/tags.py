"""Tags of the runs that this project starts: where a run comes from, what goes before what, and how long it may last.

Tags are policy: `dagster.yaml` limits runs by them. They do not reach a run that the UI starts by *Materialize*; the hard limit
there is the pool `gpu`, and the longest time is `run_monitoring.max_runtime_seconds`.
"""

from typing import Literal

from podcast_assets.config.settings import Settings

Source = Literal["command", "sensor", "retry", "backfill", "janitor", "release"]

SOURCE = "podcast/source"
"""Tag: what started the run. `dagster.yaml` limits how many of a backfill's go on at once."""
PRIORITY = "dagster/priority"
MAX_RUNTIME = "dagster/max_runtime"
"""Dagster's own tags."""

NEW_BATCH = 10
"""Somebody waits for a new batch, and it is small beside a backfill."""
BY_HAND = 0
"""What a person starts in the UI has no tag, which is 0: after new batches, before everything that waits for a free hour."""
RETRY = -5
"""A few episodes of the night; short, so before backfills."""
BACKFILL = -10
"""Thousands of batches: whatever comes meanwhile must not wait for days."""

PRIORITIES: dict[Source, int] = {
    "command": BY_HAND,
    "sensor": NEW_BATCH,
    "retry": RETRY,
    "backfill": BACKFILL,
    "release": BY_HAND,
    "janitor": NEW_BATCH,  # a few seconds without a GPU
}


def run_tags(source: Source, settings: Settings) -> dict[str, str]:
    """The tags of a run.

    Args:
        source: what starts it.
        settings: say how long it may last.
    """
    return {
        SOURCE: source,
        PRIORITY: str(PRIORITIES[source]),
        MAX_RUNTIME: str(round(settings.max_runtime_hours * 3600)),
    }
