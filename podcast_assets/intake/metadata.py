"""Metadata of a batch, joined to its recordings by a column with file names.

Only the ids of a file are read, and the rows that are wanted: a table of a million rows beside a batch of sixty episodes costs
seconds, and memory for its ids.
"""

import base64
import datetime
import json
import math
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl

from podcast_assets.common.errors import BadInput

METADATA_SUFFIXES = frozenset({".parquet", ".csv", ".jsonl"})
KEY = "meta_id"
"""Column that holds the name of the file that a row is about, without its suffix; PODCAST_META_KEY sets another."""
NAMED = 1_000
"""Ids that are named of those that did not fit; the rest is counted."""

MOST_ROWS = 50_000_000
"""Of a parquet file, by its footer. A few kilobytes can tell of a billion equal rows, whose ids alone take 16 GB."""
_REPEATED = 100_000
"""Rows above what is wanted from which on the first of each id is picked before anything else of a row is read."""

_LINE = "line of JSON"
_AROUND = " \t\r\n\ufeff"
"""What may stand around a line: Windows begins files with a byte order mark."""
_ID = "id"
_ERRORS = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError, RecursionError)


class NotMetadata(BadInput):
    """A table without the id column, which is not metadata."""


@dataclass(frozen=True)
class MetadataFile:
    """A metadata file of a batch. Its rows are read when they are asked for."""

    name: str
    """Its name in the batch."""
    frame: pl.DataFrame | pl.LazyFrame
    """Its rows as they are; of JSON lines, their text in one column."""
    key: str = KEY
    """Column with the ids."""
    ids: pl.Series = field(default_factory=lambda: pl.Series(dtype=pl.String))
    """All ids in their order, as text, with nulls where there are none."""
    held: Any = None
    """What must not go away while the rows may be asked for: a temporary file."""

    @property
    def folder(self) -> PurePosixPath:
        """Folder of the file; its rows apply to files in it and below."""
        return PurePosixPath(self.name).parent

    def rows(self, ids: Collection[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each of some ids with the first row that has it.

        Raises:
            BadInput: the rows cannot be read.
        """
        wanted = pl.Series(_ID, list(ids), dtype=pl.String)
        try:
            yield from self._read_line_rows(wanted) if self.is_lines else self._read_table_rows(wanted)
        except _ERRORS as error:
            raise _unreadable_error(self.name, error) from error

    @property
    def is_lines(self) -> bool:
        """Whether it is JSON lines."""
        return self.name.lower().endswith(".jsonl")

    def _read_table_rows(self, wanted: pl.Series) -> Iterator[tuple[str, dict[str, Any]]]:
        """By the ids themselves: of other rows only those are decoded."""
        identity = pl.col(self.key).cast(pl.String)
        found = self.frame.lazy()
        if int(self.ids.is_in(wanted.implode()).sum()) > len(wanted) + _REPEATED:
            first = self._first_positions(wanted)[_AT]
            found = found.with_row_index(_AT).filter(pl.col(_AT).is_in(first.implode()))
        found = found.filter(identity.is_in(wanted.implode())).with_columns(identity.alias(_AT))
        given: set[str] = set()
        for row in found.collect(engine="streaming").iter_rows(named=True):
            if (of := row.pop(_AT)) not in given:
                given.add(of)
                yield of, row

    def _read_line_rows(self, wanted: pl.Series) -> Iterator[tuple[str, dict[str, Any]]]:
        """By position: the ids were found out before."""
        first = self._first_positions(wanted)
        found = self.frame.lazy().with_row_index(_AT).join(first.lazy(), on=_AT, how="inner").sort(_AT)
        for identity, text in found.select(_ID, _LINE).collect(engine="streaming").iter_rows():
            parsed = json.loads(text.strip(_AROUND))
            if _id_of(parsed, self.key, self.name) == identity:
                yield identity, parsed  # else the pattern has found a key of something inside

    def _first_positions(self, wanted: pl.Series) -> pl.DataFrame:
        """Where each id is found first."""
        found = pl.DataFrame({_ID: self.ids}).with_row_index(_AT).filter(pl.col(_ID).is_in(wanted.implode()))
        return found.unique(_ID, keep="first").sort(_AT)


_AT = "position of the row"


@dataclass(frozen=True)
class JoinedMetadata:
    """Metadata rows by file, and the unmatched ids."""

    rows: dict[str, dict[str, Any]]
    """Name of a file → its metadata row."""
    files_without_metadata: list[str]
    """Names of files that no row is about."""
    metadata_without_file: list[str]
    """Ids of rows without a file: the first NAMED."""
    duplicate_ids: list[str]
    """Ids that more than one row of a folder has (the first row counts), and those in `ambiguous`: the first NAMED."""
    ambiguous: list[str]
    """Ids that fit several files under the same metadata file: none of them gets the row."""
    ids_without_file: int = 0
    """How many ids there are of which `metadata_without_file` names the first."""
    ids_repeated: int = 0
    """How many ids there are of which `duplicate_ids` names the first."""
    broken: dict[str, str] = field(default_factory=dict)
    """Metadata file → why its rows cannot be read."""

    def of(self, source: str) -> dict[str, Any]:
        """The metadata row of a file; empty where it has none."""
        return self.rows.get(source, {})


def open_metadata(name: str, data: bytes | Path, key: str = KEY, *, held: Any = None) -> MetadataFile:
    """Open a metadata file: its ids are read, and that it is what its name says.

    Nothing is made of the values: CSV is text, and rows of JSON stay as they are written.

    Args:
        name: its name in the batch; the suffix tells its format.
        data: its bytes, or a file with them.
        key: column with the ids.
        held: kept as long as the result is.

    Raises:
        BadInput: it cannot be read, or its ids are not text or numbers.
        NotMetadata: it has no such column.
    """
    suffix = PurePosixPath(name).suffix.lower()
    source = BytesIO(data) if isinstance(data, bytes) else data
    try:
        if suffix == ".jsonl":
            frame = pl.scan_lines(source, name=_LINE).filter(pl.col(_LINE).str.strip_chars(_AROUND) != "")
            ids = _ids_of_lines(frame, key, name)
        else:
            frame = pl.scan_parquet(source) if suffix == ".parquet" else pl.scan_csv(source, infer_schema=False)
            columns = frame.collect_schema()
            if key not in columns:
                raise NotMetadata(f"a table without a column {key!r}; there are: {', '.join(columns.names()[:12])}")
            if columns[key].is_nested() or columns[key] == pl.Object:
                raise BadInput(f"metadata {name}: column {key!r} is {columns[key]}, neither text nor numbers")
            if suffix == ".parquet" and (rows := frame.select(pl.len()).collect().item()) > MOST_ROWS:
                raise BadInput(
                    f"metadata {name}: {rows:,} rows, of which no more than {MOST_ROWS:,} are read: split it"
                )
            ids = frame.select(pl.col(key).cast(pl.String)).collect(engine="streaming")[key]
    except BadInput:
        raise
    except _ERRORS as error:
        raise _unreadable_error(name, error) from error
    return MetadataFile(name, frame, key, ids, held)


def _ids_of_lines(frame: pl.LazyFrame, key: str, name: str) -> pl.Series:
    """Ids of JSON objects, one a line, each read as such only where a pattern leaves room for doubt."""
    line, quoted = pl.col(_LINE).str.strip_chars(_AROUND), re.escape(json.dumps(key, ensure_ascii=False))
    value = rf'{quoted}\s*:\s*(?:"([^"\\]*)"|(-?[0-9]+))\s*[,}}]'
    found = frame.select(
        text=line.str.extract(value, 1),
        number=line.str.extract(value, 2),
        times=line.str.count_matches(quoted),
        odd=~(line.str.starts_with("{") & line.str.ends_with("}")),
        escaped=line.str.contains("\\", literal=True),
    ).select(
        "odd",
        pl.coalesce("text", "number").alias(_ID),
        doubt=(pl.col("times") > 1)
        | ((pl.col("times") == 1) & pl.col("text").is_null() & pl.col("number").is_null())
        | ((pl.col("times") == 0) & pl.col("escaped")),
    ).collect(engine="streaming")  # fmt: skip
    if found["odd"].any():
        at = int(found["odd"].arg_max() or 0)
        raise BadInput(f"metadata {name} cannot be read as jsonl: line {at + 1} is no JSON object")
    ids = found[_ID]
    doubtful = found["doubt"].arg_true()
    if len(doubtful):
        lines = frame.with_row_index(_AT).join(pl.LazyFrame({_AT: doubtful}), on=_AT, how="semi")
        table = lines.collect(engine="streaming").sort(_AT)
        ids = ids.scatter(doubtful, [_id_of(json.loads(text.strip(_AROUND)), key, name) for text in table[_LINE]])
    if ids.null_count() == len(ids):
        raise NotMetadata(f"lines of JSON without {key!r}")
    return ids


def _id_of(row: Any, key: str, name: str) -> str | None:
    value = row.get(key) if isinstance(row, dict) else None
    if isinstance(value, (dict, list)):
        raise BadInput(f"metadata {name}: {key!r} is neither text nor a number in some line")
    return None if value is None else str(value)


def _unreadable_error(name: str, error: BaseException) -> BadInput:
    why = (str(error).splitlines() or [type(error).__name__])[0]
    return BadInput(f"metadata {name} cannot be read as {PurePosixPath(name).suffix.lower()[1:]}: {why}")


def join_metadata(sources: Sequence[str], files: Sequence[MetadataFile]) -> JoinedMetadata:
    """Join files (by stem) to the rows (by their ids) of the metadata files in their folder or above; the nearest wins.

    Metadata in a folder without recordings (`metadata/` beside `audio/`) are for the folder above it.
    """
    above = {folder: {PurePosixPath(folder), *PurePosixPath(folder).parents} for folder in map(_folder_of, sources)}
    folders = set[PurePosixPath]().union(*above.values())
    placed = [(_beside_recordings(file.folder, folders), file) for file in files]
    below: dict[PurePosixPath, dict[str, list[str]]] = {folder: {} for folder, _ in placed}
    for source in sorted(sources):
        for folder in below.keys() & above[_folder_of(source)]:
            below[folder].setdefault(PurePosixPath(source).stem, []).append(source)
    rows: dict[str, dict[str, Any]] = {}
    shared: dict[str, set[str]] = {}
    broken: dict[str, str] = {}
    for folder, file in sorted(placed, key=lambda f: len(f[0].parts), reverse=True):
        stems = below[folder]
        try:
            for identity, row in file.rows(stems):
                about = stems[identity]
                if len(about) == 1:
                    rows.setdefault(about[0], row)
                elif unserved := set(about).difference(rows):
                    shared.setdefault(identity, set()).update(unserved)
        except BadInput as error:
            broken[file.name] = str(error)
    known = rows.keys() | set().union(*shared.values())
    without_file, repeated = _find_unmatched(placed, below)
    repeated = pl.concat([repeated, pl.Series(sorted(shared), dtype=pl.String)]).unique().sort()
    return JoinedMetadata(
        rows=rows,
        files_without_metadata=sorted(set(sources).difference(known)),
        metadata_without_file=without_file.head(NAMED).to_list(),
        duplicate_ids=repeated.head(NAMED).to_list(),
        ambiguous=sorted(shared),
        ids_without_file=len(without_file),
        ids_repeated=len(repeated),
        broken=broken,
    )


def _find_unmatched(
    placed: Sequence[tuple[PurePosixPath, MetadataFile]], below: dict[PurePosixPath, dict[str, list[str]]]
) -> tuple[pl.Series, pl.Series]:
    """Ids without a file, and those that several rows of a folder have; each once, in order."""
    without: list[pl.Series] = [pl.Series(dtype=pl.String)]
    repeated: list[pl.Series] = [pl.Series(dtype=pl.String)]
    for folder, stems in below.items():
        ids = pl.concat([file.ids.rename("") for place, file in placed if place == folder]).drop_nulls()
        without.append(ids.filter(~ids.is_in(pl.Series(list(stems), dtype=pl.String).implode())).rename(""))
        if ids.n_unique() < len(ids):
            repeated.append(ids.filter(ids.is_duplicated()).rename(""))
    return _unique_ids(pl.concat(without)), _unique_ids(pl.concat(repeated))


def _unique_ids(ids: pl.Series) -> pl.Series:
    """Each id once, in order."""
    return (ids.unique() if ids.n_unique() < len(ids) else ids).sort()


def _folder_of(source: str) -> str:
    folder, slash, _ = source.rpartition("/")
    return folder or slash


def _beside_recordings(folder: PurePosixPath, folders: Collection[PurePosixPath]) -> PurePosixPath:
    """The nearest folder with recordings in it or below it."""
    while folder not in folders and folder != folder.parent:
        folder = folder.parent
    return folder


def first_text(row: dict[str, Any], *names: str) -> str | None:
    """The first of some columns that has a value, as text; NaN is none."""
    values = (_to_json_value(row.get(n)) for n in names)
    return next((str(v) for v in values if v not in (None, "")), None)


def to_json(row: dict[str, Any]) -> str | None:
    """A whole metadata row as JSON with sorted keys; None where there is none.

    NaN and infinity become null, times ISO 8601, and bytes text, or base64 where they are not UTF-8.
    """
    return json.dumps(_to_json_value(row), ensure_ascii=False, allow_nan=False, sort_keys=True) if row else None


def _to_json_value(value: Any) -> Any:
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
            return {str(k): _to_json_value(v) for k, v in value.items()}
        case list() | tuple() | pl.Series():
            return [_to_json_value(v) for v in value]
        case _:
            return str(value)
