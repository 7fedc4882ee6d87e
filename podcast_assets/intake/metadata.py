"""Metadata of a batch: read as they come, joined to its recordings by `meta_id` = file stem."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import PurePosixPath
from typing import Any

import polars as pl

from podcast_assets.errors import BadInput

METADATA_SUFFIXES = frozenset({".parquet", ".csv", ".jsonl"})
KEY = "meta_id"


class NotMetadata(BadInput):
    """A table without a `meta_id`: something else that lies in the batch."""


@dataclass(frozen=True)
class Joined:
    """Metadata by file stem, and all that did not fit."""

    rows: dict[str, dict[str, Any]]
    """File stem → its metadata row."""
    files_without_metadata: list[str]
    metadata_without_file: list[str]
    duplicate_ids: list[str]
    """Ids that more than one row has; the first row counts."""

    def of(self, source: str) -> dict[str, Any]:
        """The metadata row of a file; empty where it has none."""
        return self.rows.get(PurePosixPath(source).stem, {})


def read_metadata(name: str, data: bytes) -> pl.DataFrame:
    """One metadata file with its `meta_id` as text and the other columns as they are.

    Raises:
        BadInput: it cannot be read.
        NotMetadata: it has no `meta_id`.
    """
    suffix = PurePosixPath(name).suffix.lower()
    try:
        if suffix == ".parquet":
            frame = pl.read_parquet(BytesIO(data))
        elif suffix == ".csv":
            frame = pl.read_csv(BytesIO(data), infer_schema=False)
        else:
            frame = pl.read_ndjson(BytesIO(data), infer_schema_length=None)
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise BadInput(f"metadata cannot be read as {suffix[1:]}: {str(error).splitlines()[0]}") from error
    if KEY not in frame.columns:
        raise NotMetadata(f"a table without a column {KEY!r}; there are: {', '.join(frame.columns[:12])}")
    return frame.with_columns(pl.col(KEY).cast(pl.String))


def join(sources: Sequence[str], frames: Sequence[pl.DataFrame]) -> Joined:
    """Join files (by stem) to metadata rows (by `meta_id`)."""
    stems = sorted({PurePosixPath(s).stem for s in sources})
    wanted = pl.DataFrame({KEY: stems}, schema={KEY: pl.String})
    rows: dict[str, dict[str, Any]] = {}
    ids: list[str] = []
    for frame in frames:
        ids += frame[KEY].drop_nulls().to_list()
        first = frame.unique(KEY, keep="first", maintain_order=True)
        for row in wanted.join(first, on=KEY, how="inner", maintain_order="left").iter_rows(named=True):
            rows.setdefault(row[KEY], row)
    known = set(ids)
    counts = pl.Series(KEY, ids, dtype=pl.String).value_counts()
    return Joined(
        rows=rows,
        files_without_metadata=[s for s in stems if s not in known],
        metadata_without_file=sorted(known.difference(stems)),
        duplicate_ids=sorted(counts.filter(pl.col("count") > 1)[KEY].to_list()),
    )


def text(row: dict[str, Any], *names: str) -> str | None:
    """The first of some columns that has a value, as text."""
    return next((str(row[n]) for n in names if row.get(n) not in (None, "")), None)


def as_json(row: dict[str, Any]) -> str | None:
    """A whole metadata row as JSON with sorted keys; None where there is none."""
    return json.dumps(row, default=str, ensure_ascii=False, sort_keys=True) if row else None
