"""Metadata of a batch, joined to its recordings by a column with file names.

Only the ids of a file and the matching rows are read: a table of a million rows beside a batch of sixty episodes costs seconds, and
memory for its ids.
"""

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl

from podcast_assets.common.errors import BadInput
from podcast_assets.common.warned import BatchWarning
from podcast_assets.intake.encodings import to_utf8
from podcast_assets.intake.file_names import split_name
from podcast_assets.intake.ids import equal_by_value, id_text
from podcast_assets.intake.names import normalize
from podcast_assets.intake.table_limits import MAX_DEPTH, to_json_row, to_json_value
from podcast_assets.intake.tables import (
    LINES_SUFFIXES,
    READ_ERRORS,
    TABLE_SUFFIXES,
    fold_name,
    rename_keys,
    scan_table,
    unreadable,
)

METADATA_SUFFIXES = TABLE_SUFFIXES | LINES_SUFFIXES
KEY = "meta_id"
"""Default column with the name of the row's file without suffix; PODCAST_META_KEY sets another."""
NAMED = 1_000
"""Number of unmatched ids that are listed; the rest is only counted."""

MAX_ROWS = 50_000_000
"""Maximum number of rows in a parquet file's footer. A few kilobytes can hold a billion equal rows, whose ids alone take 16 GB."""
_REPEATED = 100_000
"""Number of duplicate rows from which only the first row of each id is decoded."""

_LINE = "line of JSON"
_PADDING = " \t\r\n\ufeff"
"""Characters to strip from a line; files from Windows begin with a byte order mark."""
_ID = "id"

WITHOUT_KEY = ("a table without the column", "lines of JSON without")
"""How the messages of `NotMetadata` begin, by which the rows of skipped tables are recognized later."""


class NotMetadata(BadInput):
    """A table without the id column, which is not metadata."""


@dataclass(frozen=True)
class MetadataFile:
    """A metadata file of a batch. Its rows are read lazily."""

    name: str
    """Name of the file in the batch."""
    frame: pl.DataFrame | pl.LazyFrame
    """Unchanged rows; for JSON lines, the text of each line in one column."""
    key: str = KEY
    """Column with the ids."""
    ids: pl.Series = field(default_factory=lambda: pl.Series(dtype=pl.String))
    """Ids of all rows in order, as the file spells them; null for rows without an id."""
    keep_alive: Any = None
    """Temporary file that must live as long as rows may be read."""

    @property
    def folder(self) -> PurePosixPath:
        """Folder of the file; its rows apply to files in it and below."""
        return PurePosixPath(normalize(self.name)).parent

    def rows(self, ids: Collection[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Read the first row of each of some ids, as values that JSON supports.

        Raises:
            BadInput: the rows cannot be read.
        """
        wanted_ids = pl.Series(_ID, list(ids), dtype=pl.String)
        try:
            rows = self._read_line_rows(wanted_ids) if self.is_lines else self._read_table_rows(wanted_ids)
            yield from ((identity, to_json_row(row)) for identity, row in rows)
        except READ_ERRORS as error:
            raise unreadable(f"metadata {self.name}", error) from error

    def ids_for(self, wanted_ids: pl.Series) -> pl.Series:
        """Ids of all rows in order, spelled like the wanted ids that they equal by value."""
        return pl.DataFrame({_ID: self.ids}).select(equal_by_value(pl.col(_ID), wanted_ids))[_ID]

    @property
    def is_lines(self) -> bool:
        """Whether it is JSON lines."""
        return PurePosixPath(self.name).suffix.lower() in LINES_SUFFIXES

    def _read_table_rows(self, wanted_ids: pl.Series) -> Iterator[tuple[str, dict[str, Any]]]:
        """Filter by id: only the ids of other rows are decoded."""
        found = self.frame.lazy()
        identity = equal_by_value(id_text(self.key, found.collect_schema()[self.key]), wanted_ids)
        if int(self.ids_for(wanted_ids).is_in(wanted_ids.implode()).sum()) > len(wanted_ids) + _REPEATED:
            first = self._first_positions(wanted_ids)[_AT]
            found = found.with_row_index(_AT).filter(pl.col(_AT).is_in(first.implode()))
        found = found.filter(identity.is_in(wanted_ids.implode())).with_columns(identity.alias(_AT))
        seen: set[str] = set()
        for row in found.collect(engine="streaming").iter_rows(named=True):
            if (row_id := row.pop(_AT)) not in seen:
                seen.add(row_id)
                yield row_id, row

    def _read_line_rows(self, wanted_ids: pl.Series) -> Iterator[tuple[str, dict[str, Any]]]:
        """Select lines by position, as the ids are known already."""
        first = self._first_positions(wanted_ids)
        found = self.frame.lazy().with_row_index(_AT).join(first.lazy(), on=_AT, how="inner").sort(_AT)
        for identity, spelled, text in found.select(_ID, _SPELLED, _LINE).collect(engine="streaming").iter_rows():
            parsed = _parse_line(text)
            if _id_of(parsed, self.key, self.name) == spelled:
                yield identity, rename_keys(parsed, ())  # else the pattern matched a nested key

    def _first_positions(self, wanted_ids: pl.Series) -> pl.DataFrame:
        """Position of the first row of each id."""
        ids = pl.DataFrame({_ID: self.ids_for(wanted_ids), _SPELLED: self.ids}).with_row_index(_AT)
        found = ids.filter(pl.col(_ID).is_in(wanted_ids.implode()))
        return found.unique(_ID, keep="first").sort(_AT)


_AT, _SPELLED = "position of the row", "id as the file spells it"


@dataclass(frozen=True)
class JoinedMetadata:
    """Metadata rows by file, and the unmatched ids."""

    rows: dict[str, dict[str, Any]]
    """Name of a file → its metadata row."""
    files_without_metadata: list[str]
    """Names of files without a metadata row."""
    metadata_without_file: list[str]
    """The first NAMED ids of rows without a file."""
    duplicate_ids: list[str]
    """The first NAMED ids of several rows of one folder, whose first row counts, and those in `ambiguous`."""
    ambiguous: list[str]
    """Ids that match several files below one metadata file; none of the files gets the row."""
    ids_without_file: int = 0
    """Total number of the ids that `metadata_without_file` lists in part."""
    ids_repeated: int = 0
    """Total number of the ids that `duplicate_ids` lists in part."""
    broken: dict[str, str] = field(default_factory=dict)
    """Metadata file → error message of reading its rows."""
    unused: list[BatchWarning] = field(default_factory=list)
    """Metadata files without an id that names a recording."""

    def of(self, source: str) -> dict[str, Any]:
        """Metadata row of a file; empty if it has none."""
        return self.rows.get(source, {})


def open_metadata(name: str, data: bytes | Path, key: str = KEY) -> MetadataFile:
    """Open a metadata file, read its ids and check its format.

    Values are not converted: CSV stays text, and JSON rows stay as written.

    Args:
        name: name of the file in the batch; the suffix determines the format.
        data: content of the file, or a path to it.
        key: column with the ids.

    Raises:
        BadInput: the file cannot be read, or its ids are neither text nor numbers.
        NotMetadata: the file has no column `key`.
    """
    try:
        if PurePosixPath(name).suffix.lower() in LINES_SUFFIXES:
            source, converted = to_utf8(data, guess=False)
            frame = pl.scan_lines(source, name=_LINE).filter(pl.col(_LINE).str.strip_chars(_PADDING) != "")
            key = _spelling_in_lines(frame, key)
            return MetadataFile(name, frame, key, _ids_of_lines(frame, key, name), converted)
        table = scan_table(name, data, [key])
        ids = _ids_of_table(table.frame, key, name)
    except BadInput as error:
        raise (
            error
            if str(error).startswith("metadata") or isinstance(error, NotMetadata)
            else BadInput(f"metadata {error}")
        ) from error
    except READ_ERRORS as error:
        raise unreadable(f"metadata {name}", error) from error
    return MetadataFile(name, table.frame, key, ids, table.keep_alive)


def _ids_of_table(frame: pl.LazyFrame, key: str, name: str) -> pl.Series:
    columns = frame.collect_schema()
    if key not in columns:
        raise NotMetadata(f"{WITHOUT_KEY[0]} {key!r}; its columns are: {', '.join(columns.names()[:12])}")
    if columns[key].is_nested() or columns[key] == pl.Object:
        raise BadInput(f"metadata {name}: column {key!r} is {columns[key]}, neither text nor numbers")
    if name.lower().endswith(".parquet") and (rows := frame.select(pl.len()).collect().item()) > MAX_ROWS:
        raise BadInput(f"metadata {name}: {rows:,} rows are more than the limit of {MAX_ROWS:,}: split the file")
    return frame.select(id_text(key, columns[key]).alias(key)).collect(engine="streaming")[key]


def _spelling_in_lines(frame: pl.LazyFrame, key: str) -> str:
    """Spelling of the key in the first line; the key itself if it is there, or the line cannot be read."""
    first = frame.head(1).collect()[_LINE].to_list()
    try:
        row = _parse_line(first[0]) if first else None
    except ValueError:
        row = None
    names = list(row) if isinstance(row, dict) else []
    return key if key in names else next((n for n in names if fold_name(n) == fold_name(key)), key)


def _ids_of_lines(frame: pl.LazyFrame, key: str, name: str) -> pl.Series:
    """Extract the ids of JSON lines by a regular expression, and parse only the lines for which it is ambiguous."""
    line, quoted = pl.col(_LINE).str.strip_chars(_PADDING), re.escape(json.dumps(key, ensure_ascii=False))
    value = rf'{quoted}\s*:\s*(?:"([^"\\]*)"|(-?[0-9]+))\s*[,}}]'
    found = frame.select(
        text=line.str.extract(value, 1),
        number=line.str.extract(value, 2),
        times=line.str.count_matches(quoted),
        malformed=~(line.str.starts_with("{") & line.str.ends_with("}")),
        escaped=line.str.contains("\\", literal=True),
    ).select(
        "malformed",
        pl.coalesce("text", "number").alias(_ID),
        ambiguous=(pl.col("times") > 1)
        | ((pl.col("times") == 1) & pl.col("text").is_null() & pl.col("number").is_null())
        | ((pl.col("times") == 0) & pl.col("escaped")),
    ).collect(engine="streaming")  # fmt: skip
    if found["malformed"].any():
        at = int(found["malformed"].arg_max() or 0)
        raise BadInput(f"metadata {name} cannot be read as jsonl: line {at + 1} is not a JSON object")
    ids = found[_ID]
    ambiguous_lines = found["ambiguous"].arg_true()
    if len(ambiguous_lines):
        lines = frame.with_row_index(_AT).join(pl.LazyFrame({_AT: ambiguous_lines}), on=_AT, how="semi")
        table = lines.collect(engine="streaming").sort(_AT)
        ids = ids.scatter(ambiguous_lines, [_id_of(_parse_line(text), key, name) for text in table[_LINE]])
    if ids.null_count() == len(ids):
        raise NotMetadata(f"{WITHOUT_KEY[1]} {key!r}")
    return ids


def _parse_line(text: str) -> Any:
    """Parse a line of JSON.

    Raises:
        ValueError: it is not JSON, or nested too deep.
    """
    try:
        return json.loads(text.strip(_PADDING))
    except RecursionError:
        raise ValueError(f"a row is nested more than {MAX_DEPTH} levels deep") from None


def _id_of(row: Any, key: str, name: str) -> str | None:
    value = row.get(key) if isinstance(row, dict) else None
    if isinstance(value, (dict, list)):
        raise BadInput(f"metadata {name}: {key!r} is neither text nor a number in at least one line")
    return None if value is None else str(value)


def join_metadata(
    sources: Sequence[str], files: Sequence[MetadataFile], reading: Callable[[MetadataFile], None] = lambda file: None
) -> JoinedMetadata:
    """Join files by their stem to metadata rows by their id. Of the metadata files in or above a file's folder the nearest wins.

    Both are compared in NFC. Metadata in a folder without recordings (`metadata/` beside `audio/`) apply to the folder above.

    Args:
        sources: names of the recordings.
        files: the metadata files.
        reading: called before the rows of a file are read.
    """
    above = {folder: {PurePosixPath(folder), *PurePosixPath(folder).parents} for folder in map(_folder_of, sources)}
    folders = set[PurePosixPath]().union(*above.values())
    placed = [(_beside_recordings(file.folder, folders), file) for file in files]
    below: dict[PurePosixPath, dict[str, list[str]]] = {folder: {} for folder, _ in placed}
    for source in sorted(sources):
        for folder in below.keys() & above[_folder_of(source)]:
            below[folder].setdefault(split_name(source)[0], []).append(source)
    rows: dict[str, dict[str, Any]] = {}
    ambiguous: dict[str, set[str]] = {}
    broken: dict[str, str] = {}
    unused: list[BatchWarning] = []
    for folder, file in sorted(placed, key=lambda f: len(f[0].parts), reverse=True):
        stems, used = below[folder], False
        reading(file)
        try:
            for identity, row in file.rows(stems):
                used = True
                matches = stems[identity]
                if len(matches) == 1:
                    rows.setdefault(matches[0], row)
                elif unmatched := set(matches).difference(rows):
                    ambiguous.setdefault(identity, set()).update(unmatched)
        except BadInput as error:
            broken[file.name] = str(error)
        else:
            unused += [] if used or not stems else [_unused(file)]
    known = rows.keys() | set().union(*ambiguous.values())
    without_file, repeated = _find_unmatched(placed, below)
    repeated = pl.concat([repeated, pl.Series(sorted(ambiguous), dtype=pl.String)]).unique().sort()
    return JoinedMetadata(
        rows=rows,
        files_without_metadata=sorted(set(sources).difference(known)),
        metadata_without_file=without_file.head(NAMED).to_list(),
        duplicate_ids=repeated.head(NAMED).to_list(),
        ambiguous=sorted(ambiguous),
        ids_without_file=len(without_file),
        ids_repeated=len(repeated),
        broken=broken,
        unused=unused,
    )


def _unused(file: MetadataFile) -> BatchWarning:
    """Warning about a file of which no row is joined, with an id by which its reader may see why."""
    ids = file.ids.drop_nulls()
    example = f"; an id is {ids[0]!r}" if len(ids) else ""
    return BatchWarning(
        "metadata_joined_nothing",
        file.name,
        f"none of its {len(ids):,} ids in {file.key!r} is the name of a recording without suffix{example}. "
        "PODCAST_META_KEY names another column",
    )


def _find_unmatched(
    placed: Sequence[tuple[PurePosixPath, MetadataFile]], below: dict[PurePosixPath, dict[str, list[str]]]
) -> tuple[pl.Series, pl.Series]:
    """Ids without a file and ids of several rows of one folder; each once, in order."""
    without: list[pl.Series] = [pl.Series(dtype=pl.String)]
    repeated: list[pl.Series] = [pl.Series(dtype=pl.String)]
    for folder, stems in below.items():
        names = pl.Series(list(stems), dtype=pl.String)
        ids = pl.concat([f.ids_for(names).rename("") for place, f in placed if place == folder]).drop_nulls()
        without.append(ids.filter(~ids.is_in(names.implode())).rename(""))
        if ids.n_unique() < len(ids):
            repeated.append(ids.filter(ids.is_duplicated()).rename(""))
    return _unique_ids(pl.concat(without)), _unique_ids(pl.concat(repeated))


def _unique_ids(ids: pl.Series) -> pl.Series:
    """Each id once, in order."""
    return (ids.unique() if ids.n_unique() < len(ids) else ids).sort()


def _folder_of(source: str) -> str:
    folder, slash, _ = normalize(source).rpartition("/")
    return folder or slash


def _beside_recordings(folder: PurePosixPath, folders: Collection[PurePosixPath]) -> PurePosixPath:
    """Nearest folder upwards with recordings in or below it."""
    while folder not in folders and folder != folder.parent:
        folder = folder.parent
    return folder


def first_text(row: Mapping[str, Any], *names: str) -> str | None:
    """Value of the first of some columns that has one, as text; NaN counts as no value."""
    values = (to_json_value(row.get(n)) for n in names)
    return next((str(v) for v in values if v not in (None, "")), None)


def to_json(row: dict[str, Any]) -> str | None:
    """Convert a metadata row to JSON with sorted keys, see `to_json_row`; None if it is empty."""
    return json.dumps(to_json_row(row), ensure_ascii=False, allow_nan=False, sort_keys=True) if row else None
