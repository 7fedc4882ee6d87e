"""The pictures of quality are drawn of usual, odd and empty batches, as wide as the UI shows them and without a warning."""

import warnings
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import matplotlib.colors
import matplotlib.image
import numpy as np
import polars as pl
import pytest

from podcast_assets.quality import plots as plots_quality
from podcast_assets.quality.policies.evidence import collect_evidence
from podcast_assets.quality.policies.policy import Policy, apply_policy, load_policy
from podcast_assets.quality.policies.waterfall import rejection_losses
from podcast_assets_tests.scored import tables

EMILIA = load_policy("emilia")


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def judged(*changes: dict, policy: Policy = EMILIA) -> pl.DataFrame:
    made = tables(*changes)
    scores = made["quality_scores"].drop("keep", "reject_reasons", "policy")
    return apply_policy(collect_evidence(scores, made["diarized_segments"], made["transcripts"]), policy)


USUAL = judged(
    *[
        {"episode_id": f"e{n % 3}", "start": 9.0 * n, "end": 9.0 * n + 8, "dnsmos_ovrl": 2.5 + n / 40}
        for n in range(40)
    ],
    {"language": None, "speaker": None},
    {"language": "zh", "speaker": "$王"},
)
ODD = judged({"dnsmos_ovrl": None, "snr_db": None, "source_bandwidth_hz": None, "speaker": None, "duration": 0.0})
NOTHING = USUAL.clear()


def shape(png: bytes) -> tuple[int, int]:
    height, width = matplotlib.image.imread(BytesIO(png), format="png").shape[:2]
    return width, height


@pytest.mark.parametrize("rows", [USUAL, ODD, NOTHING], ids=["usual", "odd", "nothing"])
def test_pictures_of_any_batch(rows: pl.DataFrame) -> None:
    hours = float(rows["duration"].sum()) / 3600
    assert shape(plots_quality.plot_distributions(rows, EMILIA.limits))[0] == 880
    assert (
        shape(plots_quality.plot_waterfall(rejection_losses(rows, EMILIA.reasons), hours, policy=EMILIA.label))[0]
        == 880
    )
    assert shape(plots_quality.plot_episode("$x_1 und 王", rows, EMILIA.limits))[0] == 880


def test_what_is_kept_and_rejected_is_there_to_be_seen() -> None:
    hours = float(USUAL["duration"].sum()) / 3600
    for picture in (
        plots_quality.plot_distributions(USUAL, EMILIA.limits),
        plots_quality.plot_waterfall(rejection_losses(USUAL, EMILIA.reasons), hours, policy=EMILIA.label),
    ):
        assert covers(picture, plots_quality.KEPT) > 0.005
        assert covers(picture, plots_quality.REJECTED) > 0.0005 or covers(picture, plots_quality.ALONE) > 0.0005
    with_limits, without = (plots_quality.plot_distributions(USUAL, limits) for limits in (EMILIA.limits, None))
    lines = [pixels(picture, plots_quality.LIMIT, near=0.3).sum() for picture in (with_limits, without)]
    assert lines[0] > lines[1] + 100


def test_the_waterfall_is_to_scale() -> None:
    """A quarter lost alone: a third as wide as what is kept."""
    rows = pl.DataFrame({"duration": [900.0] * 4, "reject_reasons": [["odd"], [], [], []]})
    picture = plots_quality.plot_waterfall(rejection_losses(rows), 1.0, policy="mine-v1")
    legend = plots_quality.plot_waterfall(rejection_losses(rows.clear()), 1.0, policy="mine-v1")
    alone, kept = (widest(picture, c) for c in (plots_quality.ALONE, plots_quality.KEPT))
    assert alone / kept == pytest.approx(1 / 3, rel=0.05)
    assert widest(legend, plots_quality.ALONE) < alone / 2


def pixels(png: bytes, colour: str, *, near: float = 0.02) -> Any:
    """Where a picture has a colour; the edges of thin lines are paler than they."""
    image = matplotlib.image.imread(BytesIO(png), format="png")[..., :3]
    return (np.abs(image - np.asarray(matplotlib.colors.to_rgb(colour))) < near).all(axis=-1)


def covers(png: bytes, colour: str) -> float:
    return float(pixels(png, colour).mean())


def widest(png: bytes, colour: str) -> int:
    """Pixels of a colour in the line that has most of them."""
    return int(pixels(png, colour).sum(axis=1).max())


def test_many_reasons_are_told_as_one() -> None:
    many = pl.DataFrame({"duration": [60.0] * 40, "reject_reasons": [[f"reason {n}"] for n in range(40)]})
    few = many.head(plots_quality.MAX_BARS + 1)
    heights = {
        shape(plots_quality.plot_waterfall(rejection_losses(rows), 1.0, policy="mine-v1"))[1] for rows in (many, few)
    }
    assert len(heights) == 1


def test_the_same_tables_give_the_same_bytes() -> None:
    assert plots_quality.plot_distributions(USUAL) == plots_quality.plot_distributions(USUAL)


def test_limits_are_those_of_the_policy() -> None:
    assert EMILIA.limits == {
        "language_probability": [0.8],
        "duration": [3.0, 30.0],
        "characters": [2.0],
        "dnsmos_ovrl": [3.0],
    }
