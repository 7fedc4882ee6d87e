"""Check for podcasts in several splits. No I/O."""

import polars as pl


def podcasts_in_several_splits(episodes: pl.DataFrame) -> list[str]:
    """Podcasts with episodes in several splits, which happens if some batches know the guid and others only the title.

    Two podcasts with the same title and different guids are different podcasts.

    Args:
        episodes: rows with podcast, podcast_id and split, as in `episodes/*.parquet`; columns may be missing.
    """
    if not {"podcast", "podcast_id", "split"}.issubset(episodes.columns):
        return []
    by_title = (
        episodes.group_by("podcast")
        .agg(nameless=pl.col("podcast_id").is_null().any(), splits=pl.col("split").n_unique())
        .filter(pl.col("nameless"), pl.col("splits") > 1)
    )
    by_guid = (
        episodes.drop_nulls("podcast_id")
        .group_by("podcast_id")
        .agg(pl.col("podcast").drop_nulls().first(), splits=pl.col("split").n_unique())
        .filter(pl.col("splits") > 1)
        .select(pl.coalesce("podcast", "podcast_id"))
    )
    return sorted({*by_title["podcast"].drop_nulls(), *by_guid["podcast"]})
