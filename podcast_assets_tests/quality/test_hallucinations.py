"""A thousand transcripts, half of them with hallucinations put in: each rule finds its own, and little else."""

import pytest

from podcast_assets_tests.quality.injected import Found, made, results

RULES = ["loop", "known_phrase", "wrong_language", "too_fast"]


@pytest.fixture(scope="module")
def found() -> dict[str, Found]:
    return {f.rule: f for f in results(made(1000, seed=26), RULES)}


@pytest.mark.parametrize(
    ("rule", "precision", "recall"),
    [("loop", 0.97, 0.9), ("known_phrase", 0.97, 0.9), ("wrong_language", 0.97, 0.92), ("too_fast", 0.95, 0.95)],
)
def test_a_rule_finds_what_was_put_in(found: dict[str, Found], rule: str, precision: float, recall: float):
    assert found[rule].precision >= precision
    assert found[rule].recall >= recall


def test_real_speech_is_left_alone(found: dict[str, Found]):
    assert sum(f.in_clean for f in found.values()) <= 10
