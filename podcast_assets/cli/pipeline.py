"""The pipeline as the HTTP interface sees it: batches, failures and statistics of the store, and retries by Dagster."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from podcast_assets.common.errors import BadInput, Misconfigured
from podcast_assets.config.settings import Settings
from podcast_assets.intake.arrivals import list_incoming
from podcast_assets.stages import overview
from podcast_assets.stages.statistics.groups import GROUPS
from podcast_assets.store.store import Store


class StorePipeline:
    """Implements `review.api.pipeline.Pipeline`."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings, self._store = settings, store

    def batches(self, names: Sequence[str] | None, limit: int) -> Sequence[Mapping[str, Any]]:
        """List batches, newest first."""
        return [asdict(row) for row in overview.batch_rows(self._store, names, limit=limit)]

    def episodes(self, batch: str) -> Sequence[Mapping[str, Any]]:
        """List the episodes of a batch."""
        return overview.episode_rows(self._store, [batch])

    def failures(self, batch: str | None, stage: str | None) -> Sequence[Mapping[str, Any]]:
        """List failures."""
        batches = [batch] if batch is not None else overview.batch_names(self._store)
        return overview.failure_rows(self._store, batches, stage=stage)

    def statistics(self, by: str | None) -> Mapping[str, Any]:
        """Return statistics as JSON values. Runs are not counted."""
        from podcast_assets.stages.statistics.queue import count_queue
        from podcast_assets.stages.statistics.refresh import refresh_statistics
        from podcast_assets.stages.statistics.totals import compute_statistics

        rows = refresh_statistics(self._store).rows
        queue = count_queue(rows, list_incoming(self._store), runs_queued=None, runs_active=None)
        return compute_statistics(rows, queue, by=by).to_json()

    @property
    def groups(self) -> Sequence[str]:
        """What statistics can be grouped by."""
        return tuple(GROUPS)

    def retry(self, batches: Sequence[str]) -> str:
        """Request a backfill of batches, and return its id."""
        if not (self._settings.dagster_home / "dagster.yaml").exists():
            raise Misconfigured(
                f"there is no Dagster instance in {self._settings.dagster_home}: start `podcast-assets dev`, or set DAGSTER_HOME"
            )
        import dagster as dg

        from podcast_assets.defs.instance import prepare_home
        from podcast_assets.defs.launch import request_backfill
        from podcast_assets.defs.partitions import busy_batches
        from podcast_assets.defs.redo_guard import hold_redo

        prepare_home(self._settings)
        with dg.DagsterInstance.get() as instance:
            if busy := sorted(set(batches) & busy_batches(instance)):
                raise BadInput(f"already in a queued or active run: {', '.join(busy)}")
            held = hold_redo(instance, self._settings, self._store, list(batches))
            if held.batches:
                raise BadInput(
                    held.message or "the batches would be processed again as a whole: run `podcast-assets redo`"
                )
            return request_backfill(instance, self._settings, batches)
