"""Published tables of batches from other stores or versions, which stay in the dataset."""

import io
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import polars as pl

from podcast_assets.release import tables

_PLACE = ("batch", "episode_id", "shard", "shard_sha256", "audio_offset", "audio_size", "audio_sha256")


@dataclass(frozen=True)
class ForeignTables:
    """Published tables that this store cannot make, by path."""

    metadata: dict[str, pl.DataFrame] = field(default_factory=dict)
    """Metadata tables of batches whose segments the store does not know."""
    episodes: dict[str, pl.DataFrame] = field(default_factory=dict)
    """Episode tables of the same batches."""
    beside: dict[str, pl.DataFrame] = field(default_factory=dict)
    """Episode tables of batches whose segments the store knows, but not their whole episodes."""

    def published(self) -> pl.DataFrame | None:
        """Rows of all episodes; None if there are none."""
        return _concat(self.episodes.values())

    def whole(self) -> pl.DataFrame | None:
        """Positions of the whole episodes of `beside`; None if there are none."""
        found = _concat(self.beside.values())
        return None if found is None else found.drop_nulls("shard").select(_PLACE)

    def ends(self) -> dict[tuple[str, str], int]:
        """(published path, batch) → first byte after the batch's samples, from all tables."""
        found: dict[tuple[str, str], int] = {}
        for path, table in self.metadata.items():
            found |= tables.sample_ends(table, batch_of_table(path))
        for path, table in (self.episodes | self.beside).items():
            found |= tables.sample_ends(table.drop_nulls("shard"), batch_of_table(path))
        return found


def read_foreign_tables(
    files: Iterable[str], read: Callable[[str], bytes], segments: Collection[str], whole: Collection[str]
) -> ForeignTables:
    """Read the tables of foreign batches, which stay published.

    Args:
        files: paths of the dataset's files.
        read: reads one of these files.
        segments: batches whose segments stay.
        whole: batches whose whole episodes stay.
    """

    def read_tables(folder: str, batches: Collection[str]) -> dict[str, pl.DataFrame]:
        paths = [p for p in sorted(files) if p.startswith(f"{folder}/") and batch_of_table(p) in batches]
        return {p: pl.read_parquet(io.BytesIO(read(p))) for p in paths}

    return ForeignTables(
        read_tables("metadata", segments),
        read_tables("episodes", segments),
        read_tables("episodes", set(whole) - set(segments)),
    )


def batch_of_table(path: str) -> str:
    """Batch of a table of a dataset."""
    return PurePosixPath(path).stem


def _concat(found: Iterable[pl.DataFrame]) -> pl.DataFrame | None:
    tables_of = list(found)
    return pl.concat(tables_of, how="diagonal_relaxed") if tables_of else None
