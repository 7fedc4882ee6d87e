"""Each check of the scores passes what is usual, and tells what is not with its threshold."""

from typing import Any

import polars as pl
import pytest

from podcast_assets.defs.checks import quality as checks
from podcast_assets.defs.checks.drift import EARLIER_BATCHES
from podcast_assets.defs.checks.quality import KeptHours
from podcast_assets.quality.policies.evidence import EVIDENCE
from podcast_assets.store.schema import schema

GOOD: dict[str, Any] = {
    "duration": 10.0,
    "text": "ask not what your country can do",
    "language": "en",
    "text_language": "en",
    "flags": [],
    "degraded": False,
    "keep": True,
    "text_flags": [],
    "hallucinated": False,
    **dict.fromkeys(checks.COVERED, 3.0),
}


def rows(*changes: dict[str, Any], good: int = 97) -> pl.DataFrame:
    """Good segments, and some that are not."""
    whole = [{**GOOD, **change, "segment_id": f"s{n}"} for n, change in enumerate([*changes, *([{}] * good)])]
    return pl.DataFrame(whole, schema=schema(EVIDENCE) | {"keep": pl.Boolean})


def earlier(*shares: float) -> list[KeptHours]:
    return [KeptHours(f"b{n}", 10.0, 10.0 * share) for n, share in enumerate(shares)]


@pytest.mark.parametrize(
    ("share", "before", "passed"),
    [
        (0.7, (0.8, 0.8, 0.8), True),
        (0.5, (0.8, 0.8, 0.8), False),
        (1.0, (0.7, 0.7), False),
        (0.1, (0.9,), True),  # one batch says nothing of what is usual
        (0.1, (), True),
        (0.7, (0.7,) * EARLIER_BATCHES + (0.0,) * 50, True),  # what is older does not count
    ],
)
def test_drift_of_the_kept_share(share: float, before: tuple[float, ...], passed: bool) -> None:
    verdict = checks.kept_share_steady(KeptHours("this", 10.0, 10.0 * share), earlier(*before))
    assert verdict.passed == passed
    assert len(verdict.facts["compared_with"]) <= EARLIER_BATCHES


def test_a_batch_without_speech_has_not_drifted() -> None:
    assert checks.kept_share_steady(KeptHours("this", 0.0, 0.0), earlier(0.8, 0.8)).passed


def test_degraded_share_counts_every_stage() -> None:
    scores = rows(good=20)
    assert checks.degraded_share(scores, scores).passed
    segments = scores.with_columns(degraded=pl.col("segment_id").is_in(["s0", "s1"]))
    texts = scores.with_columns(degraded=pl.col("segment_id").is_in(["s1", "s2"]))
    verdict = checks.degraded_share(scores, segments, texts)
    assert (verdict.passed, verdict.facts["share"]) == (False, 0.15)
    assert checks.degraded_share(scores, segments).passed


def test_score_coverage_forgives_what_is_short() -> None:
    unscored = dict.fromkeys(checks.COVERED)
    assert checks.scores_covered(rows(*[{**unscored, "duration": 0.5}] * 50)).passed
    verdict = checks.scores_covered(rows(*[{"snr_db": None}] * 10))
    assert (verdict.passed, verdict.facts["snr_db"], verdict.facts["dnsmos_ovrl"]) == (False, 0.9065, 1.0)
    assert checks.scores_covered(rows(good=0)).passed


def test_hallucination_share_is_of_what_the_rules_tell() -> None:
    odd = {"text_flags": ["loop", "too_slow"], "hallucinated": True}
    verdict = checks.hallucination_share(rows(odd, odd, {**odd, "text_flags": ["known_phrase"]}))
    assert (verdict.passed, verdict.facts["segments"]) == (False, ["s0", "s1", "s2"])
    assert verdict.facts["signs"] == "2 loop, 1 known_phrase"
    assert checks.hallucination_share(rows(odd)).passed
    assert checks.hallucination_share(rows(*[{"text_flags": ["too_slow"]}] * 9)).passed
    doubted = {"no_speech_prob": 0.9, "compression_ratio": 2.3, "chars_per_second": 31.0}
    assert checks.hallucination_share(rows(*[doubted] * 9)).passed, "limits stand in one place"


def test_language_disagreement_is_of_what_is_kept() -> None:
    other, heard = {"text_flags": ["wrong_language"]}, {"flags": ["language_differs"]}
    assert not checks.kept_in_one_language(rows(*[other] * 5, *[heard] * 5)).passed
    assert checks.kept_in_one_language(rows(other, heard)).passed
    assert checks.kept_in_one_language(rows(*[{**other, "keep": False}] * 50)).passed
    assert checks.kept_in_one_language(rows(*[{"language": "hr", "text_language": "sr"}] * 50)).passed
