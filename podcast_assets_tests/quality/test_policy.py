from pathlib import Path

import polars as pl
import pytest

from podcast_assets.common.errors import Misconfigured
from podcast_assets.quality.policies.policy import Policy, Rule, apply_policy, load_policy, policy_names

GOOD = {
    "duration": 5.0,
    "text": "ask not what your country can do",
    "avg_logprob": -0.3,
    "no_speech_prob": 0.1,
    "hallucinated": False,
    "compression_ratio": 1.2,
    "chars_per_second": 15.0,
    "dnsmos_ovrl": 3.0,
}


def segments(*changes: dict) -> pl.DataFrame:
    return pl.DataFrame([{**GOOD, **change} for change in changes], infer_schema_length=None)


def reasons(policy: Policy, **change) -> list[str]:
    return apply_policy(segments({}, change), policy)["reject_reasons"].to_list()[1]


def test_all_keeps_everything():
    judged = apply_policy(segments({}, {"duration": 0.0, "text": ""}), load_policy("all"))
    assert judged["keep"].to_list() == [True, True]
    assert judged["reject_reasons"].to_list() == [[], []]
    assert judged.schema["reject_reasons"] == pl.List(pl.String)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"duration": 0.49}, "shorter than 0.5 s"),
        ({"duration": 30.1}, "longer than 30 s"),
        ({"text": "  "}, "no text"),
        ({"text": None}, "no text"),
        ({"uncovered_speech": 0.9}, "words missing"),
        ({"avg_logprob": -1.1}, "recognizer unsure"),
        ({"hallucinated": True}, "text was not said"),
        ({"compression_ratio": 2.5}, "text repeats itself"),
        ({"chars_per_second": 1.9}, "too little text for its length"),
        ({"chars_per_second": 31.0}, "too much text for its length"),
        ({"dnsmos_ovrl": 1.4}, "sounds too bad"),
        ({"dnsmos_ovrl": None}, "sounds too bad"),
    ],
)
def test_asr_says_why_not(change, reason):
    assert reasons(load_policy("asr"), **change) == [reason]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"duration": 0.5},
        {"duration": 30.0},
        {"avg_logprob": None},
        {"no_speech_prob": 0.9, "hallucinated": False},
        {"hallucinated": None},
        {"compression_ratio": None},
    ],
)
def test_asr_keeps_good_segments_and_engines_that_give_fewer_figures(change):
    assert reasons(load_policy("asr"), **change) == []


def test_all_reasons_are_given_in_order():
    found = reasons(load_policy("asr"), duration=0.1, text="", dnsmos_ovrl=1.0)
    assert found == ["shorter than 0.5 s", "no text", "sounds too bad"]


def test_not_a_number_is_a_missing_value():
    strict = Policy(name="x", version=1, rules=(Rule(column="dnsmos_ovrl", minimum=1, reason="bad"),))
    assert reasons(strict, dnsmos_ovrl=float("nan")) == ["bad"]


def test_a_column_of_nulls_only():
    frame = segments({}).with_columns(avg_logprob=None, dnsmos_ovrl=None)
    assert apply_policy(frame, load_policy("asr"))["reject_reasons"].to_list() == [["sounds too bad"]]


def test_a_rule_that_rejects_everything_for_want_of_a_value_is_named():
    policy = load_policy("emilia")
    (rule,) = [r for r in policy.rules if r.column == "language_probability"]
    frame = pl.DataFrame({"language_probability": [None, None], "duration": [4.0, 5.0]})
    (note,) = policy.notes_on_values(frame.cast({"language_probability": pl.Float64}))
    assert f"rule {rule.reason!r} rejects every segment" in note
    assert "Whisper's .en models" in note
    assert policy.notes_on_values(frame.with_columns(language_probability=pl.Series([None, 0.1]))) == []
    assert policy.notes_on_values(frame.clear()) == []


def test_an_empty_table_gets_its_columns():
    judged = apply_policy(segments({}).clear(), load_policy("asr"))
    assert (judged.schema["keep"], judged.schema["reject_reasons"]) == (pl.Boolean, pl.List(pl.String))


def test_a_missing_column_is_named():
    with pytest.raises(Misconfigured, match="asr-v4 needs columns that do not exist: dnsmos_ovrl, text"):
        apply_policy(segments({}).drop("text", "dnsmos_ovrl"), load_policy("asr"))


def test_a_policy_of_ones_own(tmp_path: Path):
    path = tmp_path / "mine.toml"
    path.write_text(
        'name = "mine"\nversion = 3\n[[rules]]\ncolumn = "dnsmos_ovrl"\nminimum = 2\nmaximum = 4\nreason = "not middling"\n'
    )
    policy = load_policy(path)
    assert policy.label == "mine-v3"
    assert reasons(policy, dnsmos_ovrl=4.5) == ["not middling"]
    assert load_policy(str(path)) == policy
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load_policy(path) == policy, "some editors begin a file with a mark"
    assert policy.digest != policy.model_copy(update={"rules": ()}).digest


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name = ", "is not TOML"),
        ('name = "x"', "version: Field required"),
        ('name = "x"\nversion = 1\n[rules]\ncolumn = "a"\nreason = "b"', r"rules are written as \[\[rules\]\]"),
        (
            'name = "tts"\nversion = 1',
            "has the name 'tts' of a policy in the package but other rules: give it another name",
        ),
        ('name = "x"\nversion = 1\nscores = ["duration"]', "scores names columns that every table has: duration"),
        (
            'name = "x"\nversion = 1\n[[rules]]\ncolumn = "a"\nreason = "b"',
            "rule 1: the rule on 'a' needs one of minimum, maximum",
        ),
        ('name = "x"\nversion = 1\n[[rules]]\ncolumn = "a"\nreason = "b"\nminimun = 1', "minimun"),
    ],
)
def test_a_bad_file_says_what_is_wrong(tmp_path: Path, content, message):
    path = tmp_path / "bad.toml"
    path.write_text(content)
    with pytest.raises(Misconfigured, match=message):
        load_policy(path)


def test_unknown_names_list_the_known_ones(tmp_path: Path):
    with pytest.raises(Misconfigured, match="available: all, asr"):
        load_policy("tts2")
    with pytest.raises(Misconfigured, match="cannot be read"):
        load_policy(tmp_path / "none.toml")


@pytest.mark.parametrize("name", policy_names())
def test_files_are_named_for_their_policy(name):
    assert load_policy(name).name == name


def test_the_number_of_reasons_of_the_policy_buckets_is_the_bucket():
    rows = [
        (3.2, 0.0, 8000.0),
        (3.2, 0.0, 3400.0),
        (2.5, 0.0, 8000.0),
        (3.2, 0.05, 8000.0),
        (2.0, 0.0, None),
        (None, 0.0, 8000.0),
    ]
    names = ("dnsmos_ovrl", "clipping_share", "source_bandwidth_hz")
    judged = apply_policy(
        pl.DataFrame(rows, schema=dict.fromkeys(names, pl.Float64), orient="row"), load_policy("buckets")
    )
    assert judged["reject_reasons"].list.len().to_list() == [0, 1, 1, 2, 2, 3]
    assert judged["keep"].to_list() == [True, False, False, False, False, False]
