"""Tags of the runs that this project starts: their source, priority and maximum duration.

`dagster.yaml` limits runs by these tags. Runs that the UI starts by *Materialize* do not have them; those are limited by the pool
`gpu` and `run_monitoring.max_runtime_seconds`.
"""

from typing import Literal

from podcast_assets.config.settings import Settings

Source = Literal["command", "sensor", "retry", "backfill", "janitor", "release", "statistics", "review"]

SOURCE = "podcast/source"
"""Tag with the source of a run. `dagster.yaml` limits how many runs of backfills run at once."""
PRIORITY = "dagster/priority"
MAX_RUNTIME = "dagster/max_runtime"
"""Dagster's tags."""

NEW_BATCH = 10
"""Before everything else: somebody waits for a new batch, and it is small compared to a backfill."""
BY_HAND = 0
"""After new batches, before retries and backfills. Dagster's default, so it also applies to runs that are started in the UI."""
RETRY = -5
"""Before backfills, because a nightly retry of a few episodes is short."""
BACKFILL = -10
"""Last: a backfill may have thousands of batches, and other runs must not wait for days."""

PRIORITIES: dict[Source, int] = {
    "command": BY_HAND,
    "sensor": NEW_BATCH,
    "retry": RETRY,
    "backfill": BACKFILL,
    "release": BY_HAND,
    "janitor": NEW_BATCH,  # takes seconds, without a GPU
    "statistics": NEW_BATCH,  # the same
    "review": NEW_BATCH,  # the same
}


def run_tags(source: Source, settings: Settings) -> dict[str, str]:
    """Return the tags of a run.

    Args:
        source: what starts the run.
        settings: settings with the maximum duration.
    """
    return {
        SOURCE: source,
        PRIORITY: str(PRIORITIES[source]),
        MAX_RUNTIME: str(round(settings.max_runtime_hours * 3600)),
    }
