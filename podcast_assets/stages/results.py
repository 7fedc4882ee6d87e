"""Where a stage's results lie: checkpoints per episode before the commit, then table, failures and provenance per batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import polars as pl

from podcast_assets.schema import ASSETS, FAILURES, PROVENANCE, Columns, empty, schema, table
from podcast_assets.stages.stage import Stage
from podcast_assets.store import Store, checkpoints_key, failures_key, provenance_key, table_key

_PROVENANCE_FIELD = "podcast_assets.provenance"


@dataclass(frozen=True)
class Checkpoints:
    """Finished results of single episodes of a batch, kept until the batch's table is committed."""

    store: Store
    stage: str
    batch: str
    columns: Columns

    def key(self, episode_id: str, fingerprint: str) -> str:
        """Key of a checkpoint: another fingerprint is another file, so that a stale one is never taken."""
        return f"{checkpoints_key(self.stage, self.batch)}/{episode_id}-{fingerprint}.parquet"

    def write(self, episode_id: str, fingerprint: str, rows: pl.DataFrame, provenance: Mapping[str, Any]) -> None:
        """Write rows and their provenance as one file, so that there is never one without the other."""
        buffer = BytesIO()
        note = table([dict(provenance)], PROVENANCE).write_json()
        rows.write_parquet(buffer, metadata={_PROVENANCE_FIELD: note})
        self.store.write(self.key(episode_id, fingerprint), buffer.getvalue())

    def read(self, episode_id: str, fingerprint: str) -> tuple[pl.DataFrame, pl.DataFrame] | None:
        """Rows and provenance of an episode, or None where it is not done."""
        try:
            data = self.store.path(self.key(episode_id, fingerprint)).read_bytes()
        except FileNotFoundError:
            return None
        rows = pl.read_parquet(BytesIO(data))
        if rows.schema != schema(self.columns):
            return None
        note = pl.read_parquet_metadata(BytesIO(data))[_PROVENANCE_FIELD]
        return rows, pl.read_json(note.encode(), schema=schema(PROVENANCE))

    def remove(self) -> None:
        """Remove all checkpoints of the batch."""
        self.store.remove(checkpoints_key(self.stage, self.batch))


@dataclass(frozen=True)
class Committed:
    """What an earlier run committed for a batch."""

    provenance: pl.DataFrame
    failures: pl.DataFrame
    rows: dict[str, pl.DataFrame]
    """Episode → its rows, where the asset's table holds the stage's own rows."""

    @classmethod
    def read(cls, store: Store, stage: Stage, batch: str) -> "Committed":
        """What there is; empty tables before the first commit."""
        provenance = store.read_table(provenance_key(stage.name, batch), PROVENANCE)
        failures = store.read_table(failures_key(stage.name, batch), FAILURES)
        rows: dict[str, pl.DataFrame] = {}
        if stage.asset is not None:
            frame = store.read_table(table_key(stage.asset, batch), ASSETS[stage.asset])
            if frame is not None:
                own = frame.select(stage.columns.keys())
                rows = {str(k[0]): v for k, v in own.partition_by("episode_id", as_dict=True).items()}
        return cls(
            empty(PROVENANCE) if provenance is None else provenance,
            empty(FAILURES) if failures is None else failures,
            rows,
        )

    def done(self, episode_id: str, fingerprint: str) -> tuple[pl.DataFrame | None, pl.DataFrame] | None:
        """Rows (None for an episode without any) and provenance of an episode that is committed with this fingerprint.

        The rows' own fingerprints are compared too: a crash between the writing of provenance and table leaves the two apart.
        """
        entry = self.provenance.filter(episode_id=episode_id, fingerprint=fingerprint)
        if entry.is_empty():
            return None
        rows = self.rows.get(episode_id)
        if entry["rows"][0] == 0:
            return None if rows is not None else (None, entry)
        if rows is None or rows.height != entry["rows"][0] or (rows["fingerprint"] != fingerprint).any():
            return None
        return rows, entry

    def failure(self, episode_id: str) -> dict[str, Any] | None:
        """The failure of an episode, if the last run had one."""
        found = self.failures.filter(episode_id=episode_id)
        return found.row(0, named=True) if found.height else None


@dataclass
class StageRun:
    """What a stage made of a batch: every episode is in `provenance` (done) or in `failures`."""

    stage: Stage
    batch: str
    checkpoints: Checkpoints
    provenance: pl.DataFrame
    failures: pl.DataFrame
    ran: int
    """Episodes that were done in this run; the others' results were taken."""
    audio_seconds: float
    """Audio done in this run, s."""
    seconds: float
    """Time that the stage took, s."""
    taken: dict[str, pl.DataFrame] = field(default_factory=dict)
    """Rows of episodes that were taken from the committed table."""

    @property
    def done(self) -> Sequence[str]:
        """Episodes that are done, in the batch's order."""
        return self.provenance["episode_id"].to_list()

    def rows(self, episode_id: str) -> pl.DataFrame:
        """The rows of an episode that is done."""
        if episode_id in self.taken:
            return self.taken[episode_id]
        entry = self.provenance.filter(episode_id=episode_id)
        found = self.checkpoints.read(episode_id, entry["fingerprint"][0])
        if found is None:
            raise FileNotFoundError(f"{self.batch}: the checkpoint of {episode_id} in {self.stage.name} is gone")
        return found[0]

    def table(self) -> pl.DataFrame:
        """All rows in the batch's order."""
        return pl.concat([empty(self.stage.columns), *(self.rows(e) for e in self.done)])

    def commit(self, store: Store, asset: str, rows: pl.DataFrame) -> None:
        """Write failures and provenance, then the asset's table: its presence is the commit. Then drop the checkpoints."""
        if rows.schema != schema(ASSETS[asset]):
            raise TypeError(f"{asset}: the table does not fit its schema: {rows.schema}")
        store.write_table(failures_key(self.stage.name, self.batch), self.failures)
        store.write_table(provenance_key(self.stage.name, self.batch), self.provenance)
        store.write_table(table_key(asset, self.batch), rows)
        self.checkpoints.remove()
