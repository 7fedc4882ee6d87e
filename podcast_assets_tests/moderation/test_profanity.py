"""The classifier `profanity`: one word in a long window is found, and its limits are those that the guide names."""

import pytest

from podcast_assets.moderation.classifiers.profanity import Profanity
from podcast_assets.moderation.judging import ProbesFailed, require_probes
from podcast_assets.moderation.policies.load import load_policy
from podcast_assets.moderation.protocol import Judgment, Usage, Window

POLICY = load_policy("profanity")
HARMLESS = "we talked about the weather and the garden and what to cook for the whole family on sunday " * 6


def probability(text: str) -> float:
    classifier = Profanity().load()
    ((_, (judgment,), _),) = classifier.judge([Window(0, 0.0, 1.0, ("a",), text, "en")], POLICY)
    assert judgment.probability is not None
    return judgment.probability


@pytest.mark.parametrize("place", ["start", "middle", "end"])
def test_one_word_in_a_long_window_is_found(place: str) -> None:
    words = HARMLESS.split()
    at = {"start": 0, "middle": len(words) // 2, "end": len(words)}[place]
    assert probability(HARMLESS) < POLICY.labels[0].threshold
    assert probability(" ".join([*words[:at], "asshole", *words[at:]])) >= POLICY.labels[0].threshold


def test_probes_come_out_right_and_a_reversed_classifier_is_found() -> None:
    classifier = Profanity().load()
    assert all(r.right for r in require_probes(POLICY, classifier))

    class Reversed:
        def fits(self, text: str, policy: object) -> bool:
            return True

        def judge(self, windows, policy, store=None):  # type: ignore[no-untyped-def]
            for window, (judgment,), usage in classifier.judge(windows, policy):
                yield window, (Judgment(judgment.label, 1 - (judgment.probability or 0.0), None, ""),), usage

    with pytest.raises(ProbesFailed, match="answers 4 of 4 calibration probes wrongly"):
        require_probes(POLICY, Reversed())

    class Silent(Reversed):
        def judge(self, windows, policy, store=None):  # type: ignore[no-untyped-def]
            return ((w, (Judgment("profanity", None, "refused", ""),), Usage()) for w in windows)

    with pytest.raises(ProbesFailed, match="should be clean, but the answer is refused"):
        require_probes(POLICY, Silent())


def test_the_model_is_a_part_of_the_identity() -> None:
    assert Profanity().identity()["package"] == "1.9.1"
    assert Profanity().gpu_use() == "never"
