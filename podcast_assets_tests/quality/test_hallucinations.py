"""A thousand transcripts, half of them with hallucinations put in: each rule finds its own, and little else."""

import dataclasses

import pytest

from podcast_assets.quality.text import scripts
from podcast_assets_tests.quality.injected import Found, make_segments, results


@pytest.fixture(scope="module")
def found() -> dict[str, Found]:
    return {f.rule: f for f in results(make_segments(1000, seed=26))}


@pytest.mark.parametrize(
    ("rule", "precision", "recall"),
    [
        ("empty", 1.0, 1.0),
        ("loop", 0.97, 0.88),
        ("known_phrase", 0.97, 0.9),
        ("wrong_language", 0.97, 0.85),  # one in seven has three words, which nobody can tell
        ("too_fast", 0.95, 0.9),
        ("too_slow", 0.95, 0.9),
        ("no_speech", 0.97, 0.97),
        ("words_outside", 0.97, 0.97),
    ],
)
def test_a_rule_finds_what_was_put_in(found: dict[str, Found], rule: str, precision: float, recall: float):
    assert found[rule].put_in >= 20
    assert found[rule].precision >= precision
    assert found[rule].recall >= recall


def test_real_speech_is_left_alone(found: dict[str, Found]):
    assert sum(f.in_clean for f in found.values()) <= 5


@pytest.mark.parametrize("factor", [0.4, 3.0])
def test_wrong_rates_of_scripts_would_be_seen(factor: float, monkeypatch: pytest.MonkeyPatch):
    """The set takes no time from the rules: with rates that are wrong, they find the wrong things."""
    wrong = {k: dataclasses.replace(v, rate=v.rate * factor) for k, v in scripts.SCRIPTS.items()}
    monkeypatch.setattr(scripts, "SCRIPTS", wrong)
    too_fast = next(f for f in results(make_segments(1000, seed=26)) if f.rule == "too_fast")
    assert too_fast.recall < 0.7 or too_fast.in_clean > 100
