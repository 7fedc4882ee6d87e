"""Tables that people give: metadata, lists of URLs and lists of feeds, in parquet, CSV or JSON lines.

CSV comes in any encoding, with any separator and in any spelling of its header. clevercsv finds the separator and the quotes, by a
measure of how consistent the rows are (https://doi.org/10.1007/s10618-019-00646-y); Python's `csv.Sniffer` is wrong more often.
Rows are read by polars, directly where the file is plain CSV in UTF-8, else from a converted copy.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl

from podcast_assets.common.errors import BadInput, first_line
from podcast_assets.intake.encodings import Copy, open_bytes, to_utf8
from podcast_assets.intake.table_limits import check_parquet, to_json_row

KNOWN_COLUMNS = frozenset(
    (
        "url title episode_title podcast podcast_title podcast_guid podcast_id guid item_guid language lang license licence "
        "license_url copyright attribution author link explicit published transcripts transcript_url chapters persons "
        "num_speakers min_speakers max_speakers hours newest take_blocked feed_url feed rss xmlurl dead"
    ).split()
)
"""Columns with a meaning. A name that differs from one of them only in case, spaces, hyphens or underscores means the same."""
TABLE_SUFFIXES = frozenset({".parquet", ".csv", ".tsv"})
"""Suffixes of tables with columns."""
LINES_SUFFIXES = frozenset({".jsonl", ".ndjson"})
"""Suffixes of tables with a JSON object in each line."""
READ_ERRORS = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError, RecursionError, csv.Error)
"""Errors of reading a table that the table is the reason of."""

_DELIMITERS = (",", ";", "\t", "|")
_RARE_DELIMITERS = ("^", "~", ":", "\x1f")
"""Taken only where one of them gives a column with a wanted name, and the others give none."""
_PREAMBLE = 20
"""Lines before a header in which a wanted name is looked for: exports begin with a title or comments."""
_SAMPLE = 8_192
"""Characters in which separator and quotes are looked for. clevercsv's time grows with them, to 50 ms here."""
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
"""First line by which Excel is told the separator."""


@dataclass(frozen=True)
class Dialect:
    """How a CSV file separates its values."""

    delimiter: str = ","
    quote: str = '"'
    escape: str = ""
    skip_lines: int = 0
    """Lines before the header."""
    skip_spaces: bool = False
    """Whether spaces follow the separators."""
    old_lines: bool = False
    """Whether lines end with a carriage return alone, as on old Macs."""

    @property
    def is_plain(self) -> bool:
        """Whether polars reads it directly."""
        return self.quote == '"' and not (self.escape or self.skip_spaces or self.old_lines)


@dataclass(frozen=True)
class UserTable:
    """Rows of a table, read lazily. CSV stays text."""

    frame: pl.LazyFrame
    keep_alive: Any = None
    """Temporary file that must live as long as rows may be read."""


def scan_table(name: str, data: bytes | Path, wanted: Collection[str]) -> UserTable:
    """Open a parquet or CSV table.

    Args:
        name: name of the file; the suffix determines the format.
        data: its content, or a path to it.
        wanted: names of columns of which one must be there; they help to find the separator. A column of this name in another
            spelling is renamed, as are the `KNOWN_COLUMNS`.

    Raises:
        BadInput: the table cannot be read.
    """
    suffix = PurePosixPath(name).suffix.lower()
    try:
        if suffix == ".parquet":
            check_parquet(data)
            return UserTable(_rename_columns(pl.scan_parquet(_source(data)), wanted))
        source, keep_alive = to_utf8(data)
        dialect = find_dialect(_first_text(source), wanted)
        if not dialect.is_plain:
            source, keep_alive = _to_plain_csv(source, dialect)
            dialect = Dialect()
        frame = pl.scan_csv(
            _source(source), infer_schema=False, separator=dialect.delimiter, skip_lines=dialect.skip_lines
        )
        return UserTable(_rename_columns(frame, wanted), keep_alive)
    except READ_ERRORS as error:
        raise unreadable(name, error) from error


def read_table_rows(name: str, data: bytes, wanted: Collection[str]) -> list[dict[str, Any]]:
    """Read all rows of a parquet or CSV table as values that JSON supports, see `scan_table`."""
    table = scan_table(name, data, wanted)
    try:
        return [to_json_row(row) for row in table.frame.collect().iter_rows(named=True)]
    except READ_ERRORS as error:
        raise unreadable(name, error) from error


def unreadable(name: str, error: BaseException) -> BadInput:
    """Make the error for a table that cannot be read."""
    return BadInput(f"{name} cannot be read as {PurePosixPath(name).suffix.lower()[1:]}: {first_line(error)}")


def fold_name(name: str) -> str:
    """Fold the name of a column: names that differ only in case, spaces, hyphens or underscores are equal."""
    return re.sub(r"[\s_.\-\ufeff]+", "", unicodedata.normalize("NFKC", name).casefold())


def rename_keys(row: dict[str, Any], wanted: Collection[str]) -> dict[str, Any]:
    """Give the keys of a row that have a meaning their names, as in the header of a table."""
    names = _new_names(list(row), wanted)
    return {names.get(name, name): value for name, value in row.items()} if names else row


def _rename_columns(frame: pl.LazyFrame, wanted: Collection[str]) -> pl.LazyFrame:
    """Give columns with a meaning their names."""
    renamed = _new_names(frame.collect_schema().names(), wanted)
    return frame.rename(renamed) if renamed else frame


def _new_names(names: Sequence[str], wanted: Collection[str]) -> dict[str, str]:
    """Old name → new name of the columns that are renamed."""
    meanings = _MEANINGS | {fold_name(name): name for name in wanted}
    taken, renamed = set(names), dict[str, str]()
    for name in names:
        new = meanings.get(fold_name(name))
        if new is not None and new not in taken and name not in wanted:
            renamed[name] = new
            taken.add(new)
    return renamed


_MEANINGS = {fold_name(name): name for name in sorted(KNOWN_COLUMNS)}


# -- separators and quotes --------------------------------------------------------------------------------------------------


def find_dialect(text: str, wanted: Collection[str]) -> Dialect:
    """Find the dialect of a CSV file from its first characters.

    The dialect that clevercsv finds is taken, unless another separator, and not that one, gives a column with a wanted name.
    """
    from clevercsv.detect import Detector  # takes a fifth of a second

    lines = [line.replace("\0", "") for line in text.splitlines(keepends=True)]
    skip = next((n for n, line in enumerate(lines) if line.strip(" \t\r\n\ufeff")), 0)
    declared = _SEPARATOR_LINE.fullmatch(lines[skip].strip(" \r\n\ufeff")) if lines else None
    if declared:
        skip += 1
    usual = (declared[1],) if declared else _DELIMITERS
    with_name = (n for n, line in enumerate(lines[skip:][:_PREAMBLE], skip) if _separator_of(line, usual, wanted))
    skip = next(with_name, skip)
    sample = "".join(lines[skip:])[:_SAMPLE].lstrip("\ufeff")
    found = Detector().detect(sample, delimiters=list(_DELIMITERS)) if sample.strip() else None
    delimiter = (found and found.delimiter) or ","
    quote, escape = ("'" if found and found.quotechar == "'" else '"'), (found and found.escapechar) or ""
    header = next(iter(sample.splitlines()), "")
    if declared:
        delimiter = declared[1]
    elif not _has_column(header, delimiter, wanted):
        delimiter = _separator_of(header, usual + _RARE_DELIMITERS, wanted) or delimiter
    names = header.split(delimiter)[1:]
    spaced = bool(names) and all(name.startswith(" ") for name in names)
    return Dialect(delimiter, quote, escape, skip, spaced, old_lines="\r" in sample and "\n" not in sample)


def _separator_of(header: str, separators: Sequence[str], wanted: Collection[str]) -> str | None:
    """The first separator that gives a column with a wanted name."""
    return next((d for d in separators if _has_column(header, d, wanted)), None)


def _has_column(header: str, delimiter: str, wanted: Collection[str]) -> bool:
    names = {fold_name(name.strip(" \t\r\n'\"\ufeff")) for name in header.split(delimiter)}
    return not names.isdisjoint(map(fold_name, wanted))


def _to_plain_csv(source: bytes | Path, dialect: Dialect) -> tuple[bytes | Path, Any]:
    """Convert CSV in UTF-8 to commas and double quotes."""
    csv.field_size_limit(1 << 30)  # transcripts in a cell pass the default of 128 kB
    with open_bytes(source) as raw, io.TextIOWrapper(raw, "utf-8-sig", newline="") as text:
        for _ in range(dialect.skip_lines):
            text.readline()
        rows = csv.reader(
            text,
            delimiter=dialect.delimiter,
            quotechar=dialect.quote,
            escapechar=dialect.escape or None,
            skipinitialspace=dialect.skip_spaces,
        )
        with Copy(source) as copy:
            out = io.TextIOWrapper(copy.file, "utf-8", newline="", write_through=True)
            csv.writer(out, lineterminator="\n").writerows(row for row in rows if row)
            out.detach()
            return copy.result()


def _source(data: bytes | Path) -> Any:
    return io.BytesIO(data) if isinstance(data, bytes) else data


def _first_text(source: bytes | Path) -> str:
    """First characters of text in UTF-8."""
    with open_bytes(source) as raw:
        return raw.read(4 * _SAMPLE).decode("utf-8-sig", "ignore")
