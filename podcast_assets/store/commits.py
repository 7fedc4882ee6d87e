"""Committed results of a stage: checkpoints per episode before the commit, then one table per batch.

The table's metadata list the episodes that are done or failed, with their fingerprints, so that one rename commits everything and
the same results give the same bytes. `provenance/` and `failures/` hold the details: times, workers, tracebacks.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import polars as pl

from podcast_assets.common.errors import first_line
from podcast_assets.common.warned import BatchWarning
from podcast_assets.store.schema import FAILURES, PROVENANCE, TABLES, Columns, empty_table, schema
from podcast_assets.store.stage_names import TABLE_STAGES
from podcast_assets.store.store import DamagedTable, Store, checkpoints_key, failures_key, provenance_key, table_key

log = logging.getLogger(__name__)

_DONE, _FAILED, _PROVENANCE, _WARNINGS = (
    f"podcast_assets.{name}" for name in ("done", "failed", "provenance", "warnings")
)


@dataclass(frozen=True)
class Checkpoints:
    """Finished results of single episodes of a batch, kept until the batch's table is committed."""

    store: Store
    stage: str
    batch: str
    columns: Columns

    def key(self, episode_id: str, fingerprint: str) -> str:
        """Key of a checkpoint. It contains the fingerprint, so that an outdated checkpoint is never used."""
        return f"{checkpoints_key(self.stage, self.batch)}/{episode_id}-{fingerprint}.parquet"

    def write(self, episode_id: str, fingerprint: str, rows: pl.DataFrame, provenance: pl.DataFrame) -> None:
        """Write rows and their provenance as one file, so that neither exists without the other."""
        self.store.write_table(self.key(episode_id, fingerprint), rows, {_PROVENANCE: provenance.write_json()})

    def read(self, episode_id: str, fingerprint: str) -> tuple[pl.DataFrame, pl.DataFrame] | None:
        """Read the rows and provenance of an episode; None if there is no checkpoint or it is damaged."""
        found, _ = _read_if_undamaged(self.store, self.key(episode_id, fingerprint), self.columns)
        if found is None:
            return None
        rows, notes = found
        return rows, pl.read_json(notes[_PROVENANCE].encode(), schema=schema(PROVENANCE))

    def remove(self) -> None:
        """Remove all checkpoints of the batch."""
        self.store.remove(checkpoints_key(self.stage, self.batch))


@dataclass(frozen=True)
class CommittedTable:
    """A batch's committed table with its provenance and failures; empty before the first commit."""

    table: pl.DataFrame | None
    fingerprints: Mapping[str, str]
    """Fingerprints of the episodes that are done, including those without rows."""
    failed: Mapping[str, str]
    """Fingerprints of the episodes that failed."""
    provenance: pl.DataFrame
    failures: pl.DataFrame
    damage: str | None = None
    """Why the existing table cannot be read; it is then ignored and computed again."""
    warnings: tuple[BatchWarning, ...] = ()
    """Warnings about files that have no row of their own, such as metadata that were joined to nothing."""

    @classmethod
    def nothing(cls, damage: str | None = None) -> "CommittedTable":
        """Result before the first commit, or for a table that cannot be read."""
        return cls(None, {}, {}, empty_table(PROVENANCE), empty_table(FAILURES), damage)

    @classmethod
    def read(cls, store: Store, asset: str, batch: str) -> "CommittedTable":
        """Read the table of an asset with its provenance and failures."""
        found, damage = _read_if_undamaged(store, table_key(asset, batch), TABLES[asset])
        if found is None:
            return cls.nothing(damage)
        rows, notes = found
        done, failed = json.loads(notes.get(_DONE, "{}")), json.loads(notes.get(_FAILED, "{}"))
        provenance = _rows_with_fingerprints(store, provenance_key(TABLE_STAGES[asset], batch), PROVENANCE, done)
        failures = _rows_with_fingerprints(store, failures_key(TABLE_STAGES[asset], batch), FAILURES, failed)
        warnings = tuple(BatchWarning(**w) for w in json.loads(notes.get(_WARNINGS, "[]")))
        return cls(rows, done, failed, provenance, failures, warnings=warnings)

    @classmethod
    def read_columns(cls, store: Store, asset: str, batch: str, columns: Sequence[str]) -> "CommittedTable":
        """Read some columns of a table, and its provenance and failures, without the rest of the file and its checksum.

        Columns that a table of an earlier version lacks are null. For overviews of many batches: what is computed with the rows
        needs `read`. Without columns, the table has no rows either.
        """
        dtypes = schema(TABLES[asset])
        try:
            with store.local_copy(table_key(asset, batch)) as path:
                notes = pl.read_parquet_metadata(path)
                there = pl.read_parquet_schema(path) if columns else {}
                own = [c for c in columns if c in there]
                rows = pl.read_parquet(path, columns=own, memory_map=False) if own else pl.DataFrame()
            if rows.schema != {c: dtypes[c] for c in columns}:
                rows = rows.select(
                    (pl.col(c) if c in rows.columns else pl.lit(None)).cast(dtypes[c]).alias(c) for c in columns
                )
        except FileNotFoundError:
            return cls.nothing()
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            return cls.nothing(f"{store.path(table_key(asset, batch))} is damaged ({first_line(error)})")
        done, failed = json.loads(notes.get(_DONE, "{}")), json.loads(notes.get(_FAILED, "{}"))
        return cls(
            rows,
            done,
            failed,
            _rows_with_fingerprints(store, provenance_key(TABLE_STAGES[asset], batch), PROVENANCE, done),
            _rows_with_fingerprints(store, failures_key(TABLE_STAGES[asset], batch), FAILURES, failed),
        )

    @property
    def rows(self) -> pl.DataFrame:
        """Rows of the table, which must exist."""
        if self.table is None:
            raise LookupError("nothing is committed")
        return self.table

    def entry(self, episode_id: str, fingerprint: str) -> pl.DataFrame | None:
        """Provenance of an episode that is done with this fingerprint; None otherwise."""
        if self.fingerprints.get(episode_id) != fingerprint:
            return None
        found = self._provenance_rows.get(episode_id, [])
        return self.provenance[found] if len(found) == 1 else None

    def failure(self, episode_id: str) -> dict[str, Any] | None:
        """Failure of an episode in the last run; None if it did not fail."""
        found = self._failure_rows.get(episode_id)
        return self.failures.row(found[0], named=True) if found else None

    @cached_property
    def _provenance_rows(self) -> dict[str, list[int]]:
        return _rows_by_episode(self.provenance)

    @cached_property
    def _failure_rows(self) -> dict[str, list[int]]:
        return _rows_by_episode(self.failures)


def commit(
    store: Store,
    asset: str,
    batch: str,
    rows: pl.DataFrame,
    provenance: pl.DataFrame,
    failures: pl.DataFrame,
    warnings: Sequence[BatchWarning] = (),
) -> CommittedTable:
    """Write provenance and failures, then the table: its presence is the commit. Return what was committed."""
    if rows.schema != schema(TABLES[asset]):
        raise TypeError(f"{asset}: the table does not match its schema: {rows.schema}")
    store.write_table(provenance_key(TABLE_STAGES[asset], batch), provenance)
    store.write_table(failures_key(TABLE_STAGES[asset], batch), failures)
    done, failed = _fingerprints_of(provenance), _fingerprints_of(failures)
    notes = {_DONE: json.dumps(done), _FAILED: json.dumps(failed)}
    if warnings:
        notes[_WARNINGS] = json.dumps([asdict(w) for w in warnings])
    store.write_table(table_key(asset, batch), rows, notes)
    return CommittedTable(rows, done, failed, provenance, failures, warnings=tuple(warnings))


def _rows_by_episode(table: pl.DataFrame) -> dict[str, list[int]]:
    """Episode → its rows: to filter a table for each of a thousand episodes would take seconds."""
    found: dict[str, list[int]] = {}
    for row, episode in enumerate(table["episode_id"]):
        found.setdefault(episode, []).append(row)
    return found


def _fingerprints_of(frame: pl.DataFrame) -> dict[str, str]:
    return dict(frame.select("episode_id", "fingerprint").iter_rows())


def _read_if_undamaged(
    store: Store, key: str, columns: Columns
) -> tuple[tuple[pl.DataFrame, dict[str, str]] | None, str | None]:
    """Read a table with its notes; if it is damaged, log it and return the error message."""
    try:
        return store.read_noted_table(key, columns), None
    except DamagedTable as error:
        log.warning("%s: it will be computed again", error)
        return None, str(error)


def _rows_with_fingerprints(store: Store, key: str, columns: Columns, fingerprints: Mapping[str, str]) -> pl.DataFrame:
    """Rows of a provenance or failures table that belong to the commit: a crash may have left rows of an unfinished one."""
    found, _ = _read_if_undamaged(store, key, columns)
    if found is None:
        return empty_table(columns)
    frame = found[0]
    committed = [fingerprints.get(e) == f for e, f in frame.select("episode_id", "fingerprint").iter_rows()]
    return frame if all(committed) else frame.filter(pl.Series(committed, dtype=pl.Boolean))
