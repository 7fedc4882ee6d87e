"""Rules about content flags: how they are written, and which segments they select."""

import polars as pl
import pytest

from podcast_assets.config.content_rules import parse_content_rules
from podcast_assets.config.settings import Settings
from podcast_assets.moderation.rules import select_segments, unknown_rules
from podcast_assets.moderation.summary import segment_flags
from podcast_assets_tests.moderation.flagged import flag_rows

FLAGS = flag_rows(
    # policy, label, segments, probability
    ("p", "hate", ["a", "b"], 0.9),
    ("p", "hate", ["b", "c"], 0.2),
    ("p", "hate", ["d"], None),
    ("p", "hate", ["e", "b"], None),
    ("q", "hate", ["d"], 0.6),
    ("q", "spam", ["a"], 0.5),
)


@pytest.mark.parametrize(
    ("rules", "selected"),
    [
        ("hate > 0.9", {}),
        ("hate >= 0.9", {"a": "hate >= 0.9", "b": "hate >= 0.9"}),
        ("hate>0.5", {"a": "hate>0.5", "b": "hate>0.5", "d": "hate>0.5"}),
        ("p.hate > .1", dict.fromkeys("abc", "p.hate > .1")),
        ("q.hate", {"d": "q.hate"}),
        ("spam > 0.4, hate > 0.5", {"a": "spam > 0.4", "b": "hate > 0.5", "d": "hate > 0.5"}),
        # a flag in one window outweighs a missing answer in another
        ("needs_review", {"d": "needs_review", "e": "needs_review"}),
        ("q.needs_review", {}),
        ("flagged", {"a": "flagged", "b": "flagged", "d": "flagged"}),
        ("", {}),
    ],
)
def test_rules_select_segments_by_their_highest_probability(rules: str, selected: dict[str, str]) -> None:
    assert dict(select_segments(FLAGS, parse_content_rules(rules)).iter_rows()) == selected


def test_the_probability_of_a_segment_is_that_of_its_worst_window() -> None:
    found = segment_flags(FLAGS).filter(policy="p", label="hate")
    assert dict(found.select("segment_id", "probability").iter_rows()) == {
        "a": 0.9,
        "b": 0.9,
        "c": 0.2,
        "d": None,
        "e": None,
    }


@pytest.mark.parametrize(
    "rule", ["hate > 2", "hate > x", "> 0.5", "hate <= 0.5", "a.b.c > 0.1", "needs_review > 0.5", "hate spam", "0.5"]
)
def test_a_rule_that_cannot_be_read_is_refused_at_start(rule: str) -> None:
    with pytest.raises(ValueError, match=r"0\.5|probab"):
        Settings(exclude=f"spam > 0.5, {rule}")


def test_unknown_labels_and_policies_are_found() -> None:
    labels = FLAGS.select("policy", "label").unique().iter_rows()
    rules = parse_content_rules("hate > 0.5, p.spam, q.spam, r.needs_review, needs_review, hat")
    assert [r.text for r in unknown_rules(labels, rules)] == ["p.spam", "r.needs_review", "hat"]


def test_no_flags_select_nothing() -> None:
    assert select_segments(FLAGS.clear(), parse_content_rules("hate > 0.5, needs_review")).is_empty()
    assert segment_flags(pl.DataFrame(schema=FLAGS.schema)).is_empty()
