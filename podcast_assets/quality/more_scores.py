"""Scores that have no column of their own, as columns: policies ask for them by name."""

import polars as pl


def add_score_columns(scores: pl.DataFrame) -> pl.DataFrame:
    """Rows of `quality_scores` with one more column for each name in `more_scores`, null where a row has no such score."""
    names = scores["more_scores"].explode(empty_as_null=False).struct.field("name").unique().sort().drop_nulls()
    values = pl.col("more_scores").list.eval
    return scores.with_columns(
        values(pl.element().filter(pl.element().struct.field("name") == name).struct.field("value"))
        .list.first()
        .alias(name)
        for name in names
    )
