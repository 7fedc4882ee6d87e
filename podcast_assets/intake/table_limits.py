"""Limits on tables that strangers give: a few kilobytes can hold more values than memory, or nest them deeper than a stack."""

import datetime
import io
import math
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from podcast_assets.common.errors import BadInput

if TYPE_CHECKING:
    import pyarrow.parquet as pq

MAX_DEPTH = 32
"""Maximum depth of nested values."""
MAX_COLUMNS = 10_000
"""Maximum number of columns, those inside nested ones included."""
MAX_ROW_VALUES = 1_000_000
"""Maximum number of values in a row; a transcript of three hours with the times of its words has 150,000."""
MAX_ROW_BYTES = 16 << 20
"""Maximum size of a row as JSON, about; a transcript of three hours has 2 MB."""


def check_parquet(source: bytes | Path) -> None:
    """Check the footer of a parquet file before its columns are decoded.

    Raises:
        BadInput: it is nested too deep, has too many columns, or more values in a row than `MAX_ROW_VALUES`.
        OSError: it is damaged. So are other errors of pyarrow.
    """
    import pyarrow.parquet as pq  # takes a tenth of a second

    check_footer(pq.read_metadata(io.BytesIO(source) if isinstance(source, bytes) else source))


def check_footer(footer: "pq.FileMetaData") -> None:
    """Check the footer of a parquet file, see `check_parquet`."""
    if footer.num_columns > MAX_COLUMNS:
        raise BadInput(f"it has {footer.num_columns:,} columns; {MAX_COLUMNS:,} are allowed")
    for number in range(footer.num_columns):
        path = footer.schema.column(number).path
        if path.count(".") >= MAX_DEPTH * 3:  # a list is two levels of groups more than its values
            raise BadInput(f"column {path.partition('.')[0][:80]!r} is {_TOO_DEEP}")
    for number in range(footer.num_row_groups):
        group = footer.row_group(number)
        for at in range(group.num_columns):
            column = group.column(at)
            if column.num_values > max(1, group.num_rows) * MAX_ROW_VALUES:
                name = column.path_in_schema.partition(".")[0][:80]
                raise BadInput(
                    f"column {name!r} has {column.num_values:,} values in {group.num_rows:,} rows; "
                    f"{MAX_ROW_VALUES:,} in a row are allowed"
                )


def to_json_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a row to values that JSON supports.

    NaN and infinity become null, times ISO 8601, and bytes UTF-8 text or else base64.

    Raises:
        BadInput: it is nested too deep, or too large.
    """
    budget = _Budget()
    return {str(name): _to_json_value(value, budget, 1) for name, value in row.items()}


def to_json_value(value: Any) -> Any:
    """Convert one value, see `to_json_row`."""
    return _to_json_value(value, _Budget(), 1)


_TOO_DEEP = f"nested more than {MAX_DEPTH} levels deep"


@dataclass
class _Budget:
    """What a row may still hold."""

    values: int = MAX_ROW_VALUES
    size: int = MAX_ROW_BYTES

    def take(self, size: int) -> None:
        """Count a value of some bytes."""
        self.values -= 1
        self.size -= size
        if self.values < 0:
            raise BadInput(f"a row has more than {MAX_ROW_VALUES:,} values")
        if self.size < 0:
            raise BadInput(f"a row has more than {MAX_ROW_BYTES >> 20} MB; leave out columns such as audio")


def _to_json_value(value: Any, budget: _Budget, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise BadInput(f"a row is {_TOO_DEEP}")
    match value:
        case str():
            budget.take(len(value))
            return value
        case None | bool() | int():
            budget.take(8)
            return value
        case float():
            budget.take(8)
            return value if math.isfinite(value) else None
        case bytes():
            budget.take(len(value))
            try:
                return value.decode()
            except UnicodeDecodeError:
                return b64encode(value).decode()
        case dict():
            budget.take(sum(len(str(k)) for k in value))
            return {str(k): _to_json_value(v, budget, depth + 1) for k, v in value.items()}
        case list() | tuple() | pl.Series():
            return [_to_json_value(v, budget, depth + 1) for v in value]
        case datetime.date() | datetime.time():
            text = value.isoformat()
        case _:
            text = str(value)
    budget.take(len(text))
    return text
