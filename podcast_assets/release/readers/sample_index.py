"""Index of the samples of a published dataset, from its tables.

The dataset may be a stranger's, so the types of columns are checked before their values are read.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

import polars as pl

from podcast_assets.common.errors import first_line
from podcast_assets.common.memory_limit import limited_memory
from podcast_assets.intake.table_limits import check_footer
from podcast_assets.release.readers.published_dataset import PublishedDataset
from podcast_assets.release.reviews import METADATA
from podcast_assets.store.schema import EPISODE_SHARDS, schema
from podcast_assets.store.schema_beside import RELEASED_EPISODES

if TYPE_CHECKING:
    import pyarrow as pa

_TYPES = {**schema(EPISODE_SHARDS), **schema(RELEASED_EPISODES), **schema(METADATA)}
"""Column → its type, in the tables of either grain."""
_NO_ROWS = pl.DataFrame(schema={"shard": pl.String})
_MEMORY = 4 << 30
"""Memory that a table may take, in bytes; that of a batch of 40 hours takes a twentieth."""
_MAX_ROWS = 10_000_000
"""Largest table that is read. A batch of 40 hours has a hundredth of it."""


class SampleIndex:
    """Index of sample positions, from a dataset's tables. Memory holds the needed columns of a few tables at a time."""

    def __init__(self, dataset: PublishedDataset, tables: Sequence[str]) -> None:
        self._dataset = dataset
        self._tables: dict[str, list[str]] = {}
        self._cached = functools.lru_cache(maxsize=8)(self._read_table)
        self.unreadable: dict[str, str] = {}
        """Path → reason, of the tables that could not be read so far."""
        for path in sorted(tables):
            for shard in self._read_or_note(path, ("shard",), self._read_table)["shard"].drop_nulls().unique():
                self._tables.setdefault(shard, []).append(path)

    @property
    def shards(self) -> Mapping[str, Sequence[str]]:
        """Map shards to the tables that refer to them."""
        return self._tables

    def rows(self, shard: str, columns: Sequence[str]) -> pl.DataFrame:
        """Rows of the samples of a shard; columns that a table lacks are omitted."""
        found = [
            self._read_or_note(path, ("shard", *columns), self._cached).filter(pl.col("shard") == shard)
            for path in self._tables.get(shard, ())
        ]
        return pl.concat(found, how="diagonal") if found else _NO_ROWS

    def _read_or_note(
        self, path: str, columns: tuple[str, ...], read: Callable[[str, tuple[str, ...]], pl.DataFrame]
    ) -> pl.DataFrame:
        """Read a table; if that fails, record the reason and return no rows."""
        import pyarrow as pa

        try:
            return read(path, columns)
        except MemoryError:  # pyarrow's own is a subclass
            self.unreadable[path] = f"it needs more than {_MEMORY / (1 << 30):.3g} GiB of memory"
            return _NO_ROWS
        except (OSError, ValueError, pa.ArrowException, pl.exceptions.PolarsError, pl.exceptions.PanicException) as e:
            self.unreadable[path] = first_line(e)
            return _NO_ROWS

    def _read_table(self, path: str, columns: tuple[str, ...]) -> pl.DataFrame:
        """Read some columns of a table, with the types that podcast-assets writes.

        Raises:
            ValueError, OSError, pa.ArrowException, PolarsError: the table is damaged, or a column has another type.
        """
        import pyarrow.parquet as pq

        with self._dataset.seekable(path) as f:
            table = pq.ParquetFile(f)
            present = [c for c in columns if c in table.schema_arrow.names]
            if "shard" not in present:
                return _NO_ROWS
            if table.metadata.num_rows > _MAX_ROWS:
                raise ValueError(f"it has {table.metadata.num_rows:,} rows, more than any batch")
            for column in present:
                _check_type(column, table.schema_arrow)
            check_footer(table.metadata)
            with limited_memory(_MEMORY):
                found = table.read(columns=present)
        found.validate(full=True)  # Arrow leaves texts that are not UTF-8 to whoever reads them
        return cast("pl.DataFrame", pl.from_arrow(found)).cast({column: _TYPES[column] for column in present})


def _check_type(column: str, found: "pa.Schema") -> None:
    """Raise ValueError unless a column has its type, or one that can be cast to it."""
    import pyarrow as pa

    if found.names.count(column) > 1:
        raise ValueError(f"it has several columns {column}")
    wanted = _TYPES[column]
    actual = cast("pl.DataFrame", pl.from_arrow(pa.schema([found.field(column)]).empty_table())).dtypes[0]
    numeric = wanted.is_numeric() and (actual.is_integer() or (wanted.is_float() and actual.is_float()))
    if not numeric and actual not in (wanted, pl.Null):
        raise ValueError(f"its column {column} is of type {str(actual)[:100]}, not {wanted}")
