"""COPY of tables of rows into PostgreSQL."""

import io
from collections.abc import Iterator

import polars as pl
from sqlalchemy import Connection

_SLICE = 20_000
"""Rows that are encoded at once: about 10 MB of text."""
_NULL = "\\N"


def copy_rows(connection: Connection, table: str, rows: pl.DataFrame) -> None:
    """Copy rows into a table that has the same columns in the same order, in the connection's transaction.

    Args:
        connection: connection by psycopg 3.
        table: name of the table, as SQL.
        rows: values of any type but lists of anything else than text. NUL, which PostgreSQL does not store, is left out of texts.
    """
    driver = connection.connection.driver_connection
    assert driver is not None
    with driver.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN (FORMAT csv, NULL '{_NULL}')") as copy:
        for part in _encode(rows):
            copy.write(part)


def _encode(rows: pl.DataFrame) -> Iterator[bytes]:
    """Rows as CSV, in parts."""
    for part in rows.iter_slices(_SLICE):
        buffer = io.BytesIO()
        part.select(_encode_column(name, dtype) for name, dtype in part.schema.items()).write_csv(
            buffer,
            include_header=False,
            null_value=_NULL,
            quote_style="non_numeric",
            datetime_format="%Y-%m-%dT%H:%M:%S%.6f+00:00",
        )
        yield buffer.getvalue()


def _encode_column(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if dtype == pl.String:
        return column.str.replace_all("\0", "", literal=True)  # PostgreSQL stores no NUL
    if dtype == pl.List(pl.String):
        item = pl.element().str.replace_all("\0", "", literal=True)
        item = item.str.replace_all("\\", "\\\\", literal=True).str.replace_all('"', '\\"', literal=True)
        items = column.list.eval(pl.concat_str(pl.lit('"'), item, pl.lit('"'))).list.join(",")
        return pl.concat_str(pl.lit("{"), items, pl.lit("}")).alias(name)
    return column
