"""Tables among the files that people submit: lists of URLs, or metadata of the other files."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from podcast_assets.common.errors import BadInput
from podcast_assets.intake.downloads.urls import url_key
from podcast_assets.intake.encodings import to_utf8
from podcast_assets.intake.links import URL, parse_json_row, read_list_rows
from podcast_assets.intake.metadata import METADATA_SUFFIXES
from podcast_assets.intake.table_reader import limit_for, table_reader
from podcast_assets.intake.tables import LINES_SUFFIXES, READ_ERRORS, rename_keys, scan_table, unreadable

_LINES_READ = 1_000
"""Lines of JSON in which a column is looked for; in a table all columns are in the header."""


@dataclass(frozen=True)
class SortedFiles:
    """Files and folders that were given for a batch."""

    files: list[Path]
    """What is placed as it is, metadata included."""
    lists: list[Path]
    """Lists of URLs."""
    metadata: list[Path]
    """The tables in `files`."""


@dataclass(frozen=True)
class ListRows:
    """Rows of a list of URLs."""

    rows: list[dict[str, Any]]
    """Without those that repeat a URL. One without a URL has no `url`, and one that cannot be read nothing but `unreadable`."""
    unreadable: dict[str, str] = field(default_factory=dict)
    """Which row → why it is no episode."""
    repeated: dict[str, str] = field(default_factory=dict)
    """Which row → whose URL it repeats."""

    @property
    def episodes(self) -> int:
        """Number of rows with a URL."""
        return sum(URL in row for row in self.rows)


def sort_tables(inputs: Sequence[Path], key: str) -> SortedFiles:
    """Tell lists of URLs from metadata: a list has a column `url`.

    A table that also names files, in the column `key`, is metadata if other files are given with it.

    Args:
        inputs: files and folders.
        key: column of metadata with the names of files.

    Raises:
        BadInput: there is nothing but metadata.
    """
    tables = [path for path in inputs if path.suffix.lower() in METADATA_SUFFIXES and path.is_file()]
    alone = len(tables) == len(inputs)
    result = SortedFiles([path for path in inputs if path not in tables], [], [])
    for path in tables:
        try:
            columns = _read_columns(path, key)
        except BadInput as error:
            if alone:
                raise BadInput(f"{path}: {error}") from error
            columns = []  # whoever reads the metadata says so
        if URL in columns and (alone or key not in columns):
            result.lists.append(path)
        else:
            result.files.append(path)
            result.metadata.append(path)
    if result.metadata and len(result.metadata) == len(result.files):
        names = ", ".join(str(path) for path in result.metadata)
        raise BadInput(
            f"{names}: a list of URLs needs a column {URL!r}; without it a table is metadata, to be submitted together with "
            "the recordings that it describes"
        )
    return result


def read_rows_of_list(path: Path) -> ListRows:
    """Read a list of URLs in a subprocess with limits.

    Raises:
        BadInput: it cannot be read.
        ProcessLost: the subprocess was killed from outside.
    """
    return table_reader.call(limit_for(path.name, path.stat().st_size), parse_rows_of_list, path.name, path)


def parse_rows_of_list(name: str, path: Path) -> ListRows:
    """Parse the rows of a list of URLs, see `read_rows_of_list`.

    Args:
        name: name of the file; the suffix determines the format.
        path: where its content is.

    Raises:
        BadInput: it cannot be read, or no row has a URL.
    """
    result = ListRows([])
    first: dict[str, str] = {}
    for number, row in enumerate(read_list_rows(name, path.read_bytes()), start=1):
        where = f"{name}, row {number}"
        url = None if isinstance(row, str) else row.get(URL)
        if isinstance(row, str):
            result.unreadable[where] = row
            result.rows.append({"unreadable": f"{where}: {row}"})
        elif not isinstance(url, str) or not url.strip():
            result.unreadable[where] = "it has no url"
            result.rows.append({k: v for k, v in row.items() if k != URL})
        elif (known := first.setdefault(url_key(url), where)) != where:
            result.repeated[where] = f"the same URL as {known}"
        else:
            result.rows.append({**row, URL: url.strip()})
    if not first:
        raise BadInput(
            f"{name}: no row has a url" + "".join(f"; {w}: {why}" for w, why in [*result.unreadable.items()][:1])
        )
    return result


def _read_columns(path: Path, key: str) -> list[str]:
    return table_reader.call(limit_for(path.name, path.stat().st_size), find_columns, path.name, path, [URL, key])


def find_columns(name: str, path: Path, wanted: list[str]) -> list[str]:
    """Names of the columns of a table, the wanted ones in their own spelling.

    Raises:
        BadInput: it cannot be read.
    """
    if path.suffix.lower() not in LINES_SUFFIXES:
        return scan_table(name, path, wanted).frame.collect_schema().names()
    try:
        source, keep_alive = to_utf8(path, guess=False)
        lines = pl.scan_lines(source, name="line").head(_LINES_READ).collect()["line"]
        del keep_alive
    except READ_ERRORS as error:
        raise unreadable(name, error) from error
    rows = [row for line in lines if isinstance(row := parse_json_row(line.encode()), dict)]
    return list(dict.fromkeys(column for row in rows for column in rename_keys(row, wanted)))
