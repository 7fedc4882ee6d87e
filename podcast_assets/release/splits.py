"""Check for podcasts in several splits. Pure."""

import polars as pl


def podcasts_in_several_splits(episodes: pl.DataFrame) -> list[str]:
    """Podcasts with episodes in several splits: where one batch knows the guid and another the title alone, each goes its own way.

    Two podcasts of one title, each with its guid, are two.

    Args:
        episodes: with podcast, podcast_id and split, as in `episodes/*.parquet`; columns may be missing.
    """
    if not {"podcast", "podcast_id", "split"}.issubset(episodes.columns):
        return []
    of_title = (
        episodes.group_by("podcast")
        .agg(nameless=pl.col("podcast_id").is_null().any(), splits=pl.col("split").n_unique())
        .filter(pl.col("nameless"), pl.col("splits") > 1)
    )
    of_guid = (
        episodes.drop_nulls("podcast_id")
        .group_by("podcast_id")
        .agg(pl.col("podcast").drop_nulls().first(), splits=pl.col("split").n_unique())
        .filter(pl.col("splits") > 1)
        .select(pl.coalesce("podcast", "podcast_id"))
    )
    return sorted({*of_title["podcast"].drop_nulls(), *of_guid["podcast"]})
