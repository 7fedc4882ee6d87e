"""What a stage made of a batch: the rows of its episodes, and their commit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import polars as pl

from podcast_assets.common.warned import BatchWarning
from podcast_assets.stages.stage import Stage
from podcast_assets.store.commits import Checkpoints, CommittedTable, commit
from podcast_assets.store.schema import empty_table
from podcast_assets.store.store import Store


@dataclass
class StageRun:
    """What a stage made of a batch: every episode is in `provenance` (done) or in `failures`."""

    stage: Stage
    batch: str
    checkpoints: Checkpoints | None
    """None for a stage that records its results itself."""
    provenance: pl.DataFrame
    failures: pl.DataFrame
    ran: int
    """Episodes processed in this run; the others have an earlier result."""
    audio_seconds: float
    """Audio done in this run, s."""
    seconds: float
    """Time that the stage took, s."""
    discarded: Mapping[str, str] = field(default_factory=dict)
    """Discarded episodes of the batch, with the reason shown to people; those that are not done are left out."""
    rows_in_memory: dict[str, pl.DataFrame] = field(default_factory=dict)
    """Rows of the episodes that this run did, and of those of the committed table. The others are in checkpoints."""

    @property
    def done(self) -> Sequence[str]:
        """Episodes that are done, in the batch's order."""
        return self.provenance["episode_id"].to_list()

    def rows(self, episode_id: str) -> pl.DataFrame:
        """Return the rows of an episode that is done.

        Raises:
            FileNotFoundError: its checkpoint was removed in the meantime.
        """
        if episode_id in self.rows_in_memory:
            return self.rows_in_memory[episode_id]
        found = self.checkpoints.read(episode_id, self._fingerprints[episode_id]) if self.checkpoints else None
        if found is None:
            raise FileNotFoundError(
                f"{self.batch}: the checkpoint of {episode_id} in {self.stage.name} is gone; materialize again"
            )
        return found[0]

    @cached_property
    def _fingerprints(self) -> dict[str, str]:
        return dict(self.provenance.select("episode_id", "fingerprint").iter_rows())

    def table(self) -> pl.DataFrame:
        """Return all rows in the batch's order."""
        return pl.concat([empty_table(self.stage.columns), *(self.rows(e) for e in self.done)])

    def commit(self, store: Store, rows: pl.DataFrame, warnings: Sequence[BatchWarning] = ()) -> CommittedTable:
        """Write the asset's table with provenance and failures, then remove the checkpoints. The table's presence is the commit."""
        committed = commit(store, self.stage.asset, self.batch, rows, self.provenance, self.failures, warnings)
        if self.checkpoints:
            self.checkpoints.remove()
        return committed
