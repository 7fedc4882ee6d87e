"""Ids of metadata rows, compared with names of files by value."""

import polars as pl

_WHOLE = r"^\s*([+-]?[0-9]+)(?:[.,]0+)?\s*$"
"""A whole number, also where a table made 101.0 of 101."""


def id_text(key: str, dtype: pl.DataType) -> pl.Expr:
    """Ids of a column as text. Whole numbers among floating-point numbers have no decimals; NaN is no id."""
    column = pl.col(key)
    if not dtype.is_float():
        return column.cast(pl.String)
    column = column.fill_nan(None)
    whole = (column == column.round(0)) & (column.abs() < 2**53)
    return pl.when(whole).then(column.cast(pl.Int64, strict=False).cast(pl.String)).otherwise(column.cast(pl.String))


def equal_by_value(ids: pl.Expr, wanted_ids: pl.Series) -> pl.Expr:
    """Replace ids by the wanted ids that they equal as numbers, such as "101.0" by "101", in NFC or without spaces around them.

    An id that is wanted as it is stays as it is, and leading zeros count: "007" is not 7. The wanted ids are in NFC.
    """
    ids = ids.str.normalize("NFC")
    value = pl.coalesce(ids.str.extract(_WHOLE, 1), ids.str.strip_chars())
    return pl.when(ids.is_in(wanted_ids.implode())).then(ids).otherwise(value)
