"""Metadata of a batch: read as they come, joined to its recordings by `meta_id` = file stem."""

import base64
import datetime
import json
import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
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
class MetadataFile:
    """A metadata file: its name in the batch, and its rows with `meta_id` as text."""

    name: str
    frame: pl.DataFrame

    @property
    def folder(self) -> PurePosixPath:
        """The folder that it lies in; it is about the files in there and below."""
        return PurePosixPath(self.name).parent


@dataclass(frozen=True)
class Joined:
    """Metadata by file, and all that did not fit."""

    rows: dict[str, dict[str, Any]]
    """Name of a file → its metadata row."""
    files_without_metadata: list[str]
    """Names of files that no row is about."""
    metadata_without_file: list[str]
    duplicate_ids: list[str]
    """Ids that more than one row of a folder has (the first row counts), and those in `ambiguous`."""
    ambiguous: list[str]
    """Ids that fit several files under the same metadata file: none of them gets the row."""

    def of(self, source: str) -> dict[str, Any]:
        """The metadata row of a file; empty where it has none."""
        return self.rows.get(source, {})


def read_metadata(name: str, data: bytes) -> pl.DataFrame:
    """One metadata file with its `meta_id` as text and the other columns as they are.

    Raises:
        BadInput: it cannot be read, or its `meta_id` are not text or numbers.
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
        if KEY not in frame.columns:
            raise NotMetadata(f"a table without a column {KEY!r}; there are: {', '.join(frame.columns[:12])}")
        if frame.schema[KEY].is_nested() or frame.schema[KEY] == pl.Object:
            raise BadInput(f"metadata {name}: column {KEY!r} is {frame.schema[KEY]}, neither text nor numbers")
        return frame.with_columns(pl.col(KEY).cast(pl.String))
    except BadInput:
        raise
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadInput(f"metadata {name} cannot be read as {suffix[1:]}: {why}") from error


def join(sources: Sequence[str], files: Sequence[MetadataFile]) -> Joined:
    """Join files (by stem) to the rows (by `meta_id`) of the metadata files in their folder or above; the nearest wins.

    Metadata in a folder without recordings (`metadata/` beside `audio/`) are for the folder above it.
    """
    folders = {parent for source in sources for parent in PurePosixPath(source).parents}
    files = [replace(file, name=_beside_recordings(PurePosixPath(file.name), folders)) for file in files]
    below: dict[PurePosixPath, dict[str, list[str]]] = {file.folder: {} for file in files}
    for source in sorted(sources):
        path = PurePosixPath(source)
        for folder in below.keys() & set(path.parents):
            below[folder].setdefault(path.stem, []).append(source)
    rows: dict[str, dict[str, Any]] = {}
    ids: dict[PurePosixPath, list[str]] = {folder: [] for folder in below}
    shared: dict[str, set[str]] = {}
    for file in sorted(files, key=lambda f: len(f.folder.parts), reverse=True):
        stems = below[file.folder]
        ids[file.folder] += file.frame[KEY].drop_nulls().to_list()
        wanted = pl.DataFrame({KEY: list(stems)}, schema={KEY: pl.String})
        first = file.frame.unique(KEY, keep="first", maintain_order=True)
        for row in wanted.join(first, on=KEY, how="inner", maintain_order="left").iter_rows(named=True):
            named = stems[row[KEY]]
            if len(named) == 1:
                rows.setdefault(named[0], row)
            elif unserved := set(named).difference(rows):
                shared.setdefault(row[KEY], set()).update(unserved)
    known = rows.keys() | set().union(*shared.values())
    return Joined(
        rows=rows,
        files_without_metadata=sorted(set(sources).difference(known)),
        metadata_without_file=sorted({i for folder, there in ids.items() for i in there if i not in below[folder]}),
        duplicate_ids=sorted({i for there in ids.values() for i, n in Counter(there).items() if n > 1} | shared.keys()),
        ambiguous=sorted(shared),
    )


def _beside_recordings(name: PurePosixPath, folders: Collection[PurePosixPath]) -> str:
    """The name that a metadata file would have in the nearest folder with recordings in it or below it."""
    folder = name.parent
    while folder not in folders and folder != folder.parent:
        folder = folder.parent
    return str(folder / name.name)


def text(row: dict[str, Any], *names: str) -> str | None:
    """The first of some columns that has a value, as text; NaN is none."""
    values = (_plain(row.get(n)) for n in names)
    return next((str(v) for v in values if v not in (None, "")), None)


def as_json(row: dict[str, Any]) -> str | None:
    """A whole metadata row as JSON with sorted keys; None where there is none.

    NaN and infinity become null, times ISO 8601, and bytes text, or base64 where they are not UTF-8.
    """
    return json.dumps(_plain(row), ensure_ascii=False, allow_nan=False, sort_keys=True) if row else None


def _plain(value: Any) -> Any:
    """A value as JSON can have it."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case datetime.date() | datetime.time():
            return value.isoformat()
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError:
                return base64.b64encode(value).decode()
        case dict():
            return {str(k): _plain(v) for k, v in value.items()}
        case list() | tuple() | pl.Series():
            return [_plain(v) for v in value]
        case _:
            return str(value)
