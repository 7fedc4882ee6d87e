"""Each operator of a policy's rules, and what is said where a rule cannot be asked."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from podcast_assets.common.errors import Misconfigured
from podcast_assets.quality.policies.policy import Policy, Rule, apply_policy, load_policy

ROWS = pl.DataFrame(
    {
        "number": [1.0, 2.0, None, float("nan")],
        "word": ["a", "b", None, " "],
        "other": ["a", "a", "a", " "],
        "flags": [["x"], [], ["y", "x"], None],
        "yes": [True, False, None, True],
    }
)


def passes(**rule: Any) -> list[bool]:
    policy = Policy(name="p", version=1, rules=(Rule.model_validate({"reason": "r", **rule}),))
    judged = apply_policy(ROWS, policy)
    assert judged["reject_reasons"].to_list() == [[] if keep else ["r"] for keep in judged["keep"]]
    return judged["keep"].to_list()


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"column": "number", "minimum": 2}, [False, True, False, False]),
        ({"column": "number", "maximum": 1}, [True, False, False, False]),
        ({"column": "number", "above": 1}, [False, True, False, False]),
        ({"column": "number", "below": 2}, [True, False, False, False]),
        ({"column": "number", "maximum": 0}, [False, False, False, False]),
        ({"column": "number", "minimum": 1, "below": 2, "nulls_pass": True}, [True, False, True, True]),
        ({"column": "word", "one_of": ["a", "z"]}, [True, False, False, False]),
        ({"column": "word", "none_of": ["a", "z"]}, [False, True, False, True]),
        ({"column": "word", "none_of": ["a"], "nulls_pass": True}, [False, True, True, True]),
        ({"column": "flags", "none_of": ["x"]}, [False, True, False, False]),
        ({"column": "flags", "none_of": ["y", "z"], "nulls_pass": True}, [True, True, False, True]),
        ({"column": "word", "same_as": "other"}, [True, False, False, True]),
        ({"column": "word", "not_empty": True}, [True, True, False, False]),
        ({"column": "yes", "one_of": [False]}, [False, True, False, False]),
    ],
)
def test_operators(rule: dict[str, Any], expected: list[bool]) -> None:
    assert passes(**rule) == expected


def outliers(rows: pl.DataFrame, *rules: dict[str, Any]) -> list[bool]:
    made = tuple(Rule.model_validate({"reason": f"r{n}", **rule}) for n, rule in enumerate(rules))
    return apply_policy(rows, Policy(name="p", version=1, rules=made))["keep"].to_list()


def test_outliers_of_a_batch_an_episode_and_a_speaker() -> None:
    """Two speakers of one episode, one slow: of the whole, nothing is odd; of each speaker, the one value that is not theirs."""
    rows = pl.DataFrame(
        {
            "episode_id": ["e"] * 12 + ["f"] * 2,
            "speaker": ["A"] * 6 + ["B"] * 6 + [None] * 2,
            "pace": [1.0, 1.1, 1.0, 1.1, 1.0, 3.0, 3.0, 3.1, 3.0, 3.1, 3.0, 1.0, 90.0, 1.0],
        }
    )
    rule = {"column": "pace", "within_iqr": 1.5}
    odd = {
        group: [n for n, ok in enumerate(outliers(rows, {**rule, "per": group})) if not ok]
        for group in ("episode", "speaker")
    }
    assert odd == {"episode": [], "speaker": [5, 11]}
    assert [n for n, ok in enumerate(outliers(rows, {**rule, "per": "batch"})) if not ok] == [12]
    assert all(outliers(rows, {**rule, "per": "speaker", "at_least": 7}))


def test_quartiles_are_of_what_passes_the_rules_before() -> None:
    rows = pl.DataFrame({"pace": [1.0, 1.0, 1.0, 1.0, 5.0, 5.0, 5.0], "score": [3, 3, 3, 3, 3, 1, 1]})
    fence, good = {"column": "pace", "within_iqr": 1.5, "per": "batch"}, {"column": "score", "minimum": 2}
    assert outliers(rows, fence) == [True] * 7
    assert outliers(rows, good, fence) == [True] * 4 + [False] * 3
    assert outliers(rows.clear(), good, fence) == []


def test_a_reason_that_two_rules_share_is_given_once() -> None:
    rule: dict[str, Any] = {"column": "number", "reason": "odd"}
    policy = Policy(name="p", version=1, rules=(Rule(**rule, minimum=2), Rule(**rule, above=1)))
    assert apply_policy(ROWS, policy)["reject_reasons"].to_list()[0] == ["odd"]
    assert policy.reasons == ["odd"]


def write(folder: Path, rule: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(f'name = "mine"\nversion = 1\n[[rules]]\n{rule}\n', encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            'column = "dnsmos_over"\nminimum = 3\nreason = "bad"',
            r"do not exist: dnsmos_over \(did you mean dnsmos_ovrl\?\)",
        ),
        (
            'column = "duration"\nminimun = 3\nreason = "bad"',
            r"rule 1: a rule has no 'minimun' \(did you mean minimum\?\)",
        ),
        ('column = "text"\nminimum = 3\nreason = "bad"', "minimum applies to numbers, but text has the type String"),
        ('column = "duration"\nnot_empty = true\nreason = "bad"', "not_empty applies to texts"),
        ('column = "language"\none_of = [1]\nreason = "bad"', "1 cannot be in language"),
        ('column = "language"\nsame_as = "text_langage"\nreason = "bad"', r"did you mean text_language\?"),
        ('column = "duration"\nwithin_iqr = 1.5\nreason = "bad"', "needs within_iqr and per together"),
        ('column = "duration"\nwithin_iqr = 1.5\nper = "podcast"\nreason = "bad"', "'batch', 'episode' or 'speaker'"),
        ('column = "duration"\nminimum = "long"\nreason = "bad"', "rule 1 minimum"),
        ('column = "duration"\nminimum = nan\nreason = "bad"', "rule 1 minimum: Input should be a finite number"),
        ('column = "duration"\nwithin_iqr = inf\nper = "batch"\nreason = "bad"', "rule 1 within_iqr"),
        (
            'column = "duration"\nminimum = 5\nmaximum = 2\nreason = "bad"',
            "lets nothing pass: at least 5 and at most 2",
        ),
        ('column = "language"\none_of = []\nreason = "bad"', "rule 1 one_of"),
        ('column = "language"\none_of = "en"\nreason = "bad"', r"rule 1 one_of: must be a list, such as \[1, 2\]"),
    ],
)
def test_mistakes_are_told_when_the_policy_is_loaded(tmp_path: Path, rule: str, message: str) -> None:
    with pytest.raises(Misconfigured, match=message):
        load_policy(write(tmp_path, rule))


def test_an_optional_rule_on_a_missing_column_is_inactive_and_noted(tmp_path: Path) -> None:
    policy = load_policy(write(tmp_path, 'column = "durations"\nminimum = 3\nreason = "bad"\noptional = true'))
    rows = pl.DataFrame({"duration": [1.0]})
    assert apply_policy(rows, policy)["keep"].to_list() == [True]
    assert policy.notes(rows.columns) == [
        "rule 'bad' is inactive: there is no column durations (did you mean duration?)"
    ]
    assert not apply_policy(rows.rename({"duration": "durations"}), policy)["keep"][0]
    assert policy.notes(["durations"]) == []
