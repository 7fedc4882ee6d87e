"""Stratified samples of segments, from which error rates are estimated (`error_bar`).

Strata are language by podcast by third of the score. Each is sampled at random without replacement and at the same rate, so that
the sample looks like the whole and every segment stands for about as many others. A stratum with too few segments is joined to the
rest of its language.
"""

import hashlib

import polars as pl

MIN_PER_STRATUM = 2
"""Fewest segments that are drawn from a stratum: a variance needs two."""
_THIRDS = ("low", "middle", "high")

SAMPLE_SCHEMA = pl.Schema(
    {
        "batch": pl.String,
        "episode_id": pl.String,
        "item_id": pl.String,
        "stratum": pl.String,
        "weight": pl.Float64,
        "seconds": pl.Float64,
    }
)


def draw_sample(segments: pl.DataFrame, seconds: float, name: str) -> pl.DataFrame:
    """Draw a stratified sample. The same segments and name give the same sample.

    Args:
        segments: `batch`, `episode_id`, `segment_id`, `duration` (s), `language`, `podcast`, `score`; the last three may be null.
        seconds: length of audio to draw; a little more or less is drawn, and no more than there is.
        name: name of the sample, which decides what is drawn.

    Returns:
        Columns of SAMPLE_SCHEMA in the order of their random numbers; `weight` is the number of segments that a row stands for.
    """
    total = float(segments["duration"].sum() or 0.0)
    if segments.is_empty() or total <= 0 or seconds <= 0:
        return pl.DataFrame(schema=SAMPLE_SCHEMA)
    share = min(1.0, seconds / total)
    segments = segments.sort("batch", "segment_id")  # equal scores keep one order
    drawn = (
        segments.with_columns(stratum=_strata(segments, share), order=_random_order(segments, name))
        .with_columns(size=pl.len().over("stratum"))
        .with_columns(wanted=(pl.col("size") * share).round().cast(pl.Int64))
        .with_columns(wanted=pl.min_horizontal(pl.max_horizontal("wanted", pl.lit(MIN_PER_STRATUM)), "size"))
        .filter(pl.col("order").rank("ordinal").over("stratum") <= pl.col("wanted"))
        .sort("order")
    )
    return drawn.select(
        "batch",
        "episode_id",
        pl.col("segment_id").alias("item_id"),
        "stratum",
        (pl.col("size") / pl.col("wanted")).alias("weight"),
        pl.col("duration").alias("seconds"),
    ).cast(SAMPLE_SCHEMA)  # type: ignore[arg-type]


def _strata(segments: pl.DataFrame, share: float) -> pl.Series:
    """Name the stratum of each segment: `language / podcast / third`, or what small ones are joined to."""
    language = pl.col("language").fill_null("und")
    # the slash separates the parts of a name
    podcast = pl.col("podcast").fill_null("no podcast").str.replace_all("/", "|", literal=True)
    place = pl.col("score").rank("ordinal").over("language") / pl.col("score").count().over("language")
    third = (
        pl.when(pl.col("score").is_null())
        .then(pl.lit("none"))
        .when(place <= 1 / 3)
        .then(pl.lit(_THIRDS[0]))
        .when(place <= 2 / 3)
        .then(pl.lit(_THIRDS[1]))
        .otherwise(pl.lit(_THIRDS[2]))
    )
    frame = segments.with_columns(language=language).select(
        "language",
        full=pl.format("{} / {} / {}", pl.col("language"), podcast, third),
        by_score=pl.format("{} / other podcasts / {}", pl.col("language"), third),
        rest=pl.format("{} / other podcasts", pl.col("language")),
    )
    few = MIN_PER_STRATUM / share
    stratum = pl.col("full")
    for wider in ("by_score", "rest"):
        frame = frame.with_columns(stratum=stratum)
        stratum = pl.when(pl.len().over("stratum") < few).then(pl.col(wider)).otherwise(pl.col("stratum"))
    frame = frame.with_columns(stratum=stratum)
    # what is still too small joins the other small ones, of any language
    small = pl.len().over("stratum") < MIN_PER_STRATUM
    return frame.select(pl.when(small).then(pl.lit("other")).otherwise(pl.col("stratum"))).to_series()


def _random_order(segments: pl.DataFrame, name: str) -> pl.Series:
    """A random number for each segment that depends on nothing but its name and that of the sample."""
    names = segments.select(pl.format("{}/{}", "batch", "segment_id")).to_series()
    return pl.Series([hashlib.sha256(f"{name}/{one}".encode()).hexdigest()[:16] for one in names], dtype=pl.String)
