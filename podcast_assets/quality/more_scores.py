"""Additional scores without a column of their own, which policies name like columns."""

import polars as pl


def add_score_columns(scores: pl.DataFrame) -> pl.DataFrame:
    """Add a column for each name in `more_scores` to rows of `quality_scores`, null where a row lacks the score."""
    names = scores["more_scores"].explode(empty_as_null=False).struct.field("name").unique().sort().drop_nulls()
    values = pl.col("more_scores").list.eval
    return scores.with_columns(
        values(pl.element().filter(pl.element().struct.field("name") == name).struct.field("value"))
        .list.first()
        .alias(name)
        for name in names
    )
