"""The error bar: intervals from samples of a population whose error rate is known."""

import numpy as np
import polars as pl
import pytest

from podcast_assets.review.error_bar import ReviewedSegment, estimate_error_rate
from podcast_assets.review.sampling import draw_sample


def population(seed: int, podcasts: int = 8, segments: int = 6_000) -> pl.DataFrame:
    """Segments of 2 to 20 s of two languages; a tenth of them is much worse, and low scores are worse than high ones."""
    generator = np.random.default_rng(seed)
    podcast = generator.integers(0, podcasts, segments)
    duration = generator.uniform(2, 20, segments)
    words = np.maximum(1, generator.poisson(duration * 2.7))
    score = generator.normal(3, 0.5, segments)
    rate = np.clip(0.04 + 0.02 * (podcast % 4) - 0.02 * (score - 3), 0.005, 0.5)
    rate = np.where(generator.random(segments) < 0.1, np.minimum(0.9, rate * 6), rate)
    return pl.DataFrame(
        {
            "batch": "b", "episode_id": [f"e{p}" for p in podcast], "segment_id": [f"s{n}" for n in range(segments)],
            "duration": duration, "language": np.where(podcast < podcasts // 2, "en", "de"),
            "podcast": [f"podcast {p}" for p in podcast], "score": score, "words": words,
            "errors": generator.binomial(words, rate),
        }
    )  # fmt: skip


@pytest.mark.parametrize(("minutes", "missing"), [(60, 0.0), (120, 0.3)])
def test_the_interval_covers_the_true_rate(minutes: float, missing: float) -> None:
    whole = population(1)
    truth = float(whole["errors"].sum()) / float(whole["words"].sum())
    generator = np.random.default_rng(2)
    covered, rates, draws = 0, [], 400
    for draw in range(draws):
        found, sizes = sample_of(whole, minutes, f"draw {draw}")
        found = [one for one in found if generator.random() >= missing]
        estimated = estimate_error_rate(found, sizes)
        assert estimated.rate is not None and estimated.low is not None and estimated.high is not None
        rates.append(estimated.rate)
        covered += estimated.low <= truth <= estimated.high
    assert 0.92 <= covered / draws <= 0.98, f"{covered / draws:.3f}"
    assert np.mean(rates) == pytest.approx(truth, rel=0.02), "the estimate has no bias"


def sample_of(whole: pl.DataFrame, minutes: float, name: str) -> tuple[list[ReviewedSegment], dict[str, float]]:
    sample = draw_sample(whole, minutes * 60, name)
    sizes = dict(sample.group_by("stratum").agg(pl.col("weight").sum()).iter_rows())
    rows = sample.join(whole, left_on="item_id", right_on="segment_id").select("stratum", "errors", "words")
    return [ReviewedSegment(*row) for row in rows.iter_rows()], sizes


def test_a_sample_is_drawn_from_every_stratum_and_stands_for_all() -> None:
    whole = population(3)
    sample = draw_sample(whole, 7200, "first")
    assert sample["seconds"].sum() == pytest.approx(7200, rel=0.1)
    assert sample["weight"].sum() == pytest.approx(whole.height)
    assert sample["stratum"].n_unique() == 8 * 3
    assert sample.equals(draw_sample(whole.sample(fraction=1.0, shuffle=True, seed=1), 7200, "first")), (
        "order is nothing"
    )
    assert set(sample["item_id"]) != set(draw_sample(whole, 7200, "second")["item_id"])


def test_small_podcasts_and_languages_are_sampled_together() -> None:
    whole = population(4, segments=900)
    rare = whole.head(30).with_columns(
        podcast=pl.Series([f"rare/{n}" for n in range(30)]), segment_id=pl.Series([f"r{n}" for n in range(30)])
    )
    alone = whole.head(1).with_columns(
        language=pl.lit("fr"), segment_id=pl.lit("alone"), score=pl.lit(None, pl.Float64)
    )
    everything = pl.concat([whole, rare, alone])
    sample = draw_sample(everything, float(everything["duration"].sum()) / 20, "first")
    assert sample["weight"].sum() == pytest.approx(everything.height)
    assert sample["stratum"].n_unique() > 1
    assert not sample["stratum"].str.contains("rare").any()
    assert draw_sample(everything, 1e9, "all")["weight"].unique().to_list() == [1.0]
    assert draw_sample(everything.head(0), 60, "none").is_empty()


def test_what_little_or_perfect_samples_say() -> None:
    sizes = {"a": 1000.0, "b": 10.0}
    none = estimate_error_rate([], sizes)
    assert (none.rate, none.low, none.segments) == (None, None, 0)
    one = estimate_error_rate([ReviewedSegment("a", 1, 10)], sizes)
    assert (one.rate, one.low) == (0.1, None)
    perfect = estimate_error_rate([ReviewedSegment("a", 0, 10)] * 100, sizes)
    assert (perfect.rate, perfect.low) == (0.0, 0.0)
    assert perfect.high == pytest.approx(0.0295, abs=0.0005)
    complete = estimate_error_rate([ReviewedSegment("b", n % 2, 10) for n in range(10)], sizes)
    assert (complete.low, complete.rate, complete.high) == (0.05, 0.05, 0.05), "nothing is left to guess"
