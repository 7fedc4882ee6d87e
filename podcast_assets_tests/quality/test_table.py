"""The table of scores: what a model made, with what is known of the texts."""

import polars as pl
import pytest

from podcast_assets.quality import agreement, comparison
from podcast_assets.quality.policies.policy import Policy, Rule, load_policy
from podcast_assets.quality.table import add_text_and_policy
from podcast_assets.stages.score import Score
from podcast_assets.store.schema import PUNCTUATED_TEXTS, QUALITY_SCORES, SECOND_OPINIONS, SEGMENTS, TRANSCRIPTS, schema
from podcast_assets.store.schema_beside import REFERENCES

TEXTS = [
    "Thanks for watching!",
    "My number is (212) 736-5000, I have twenty one of them.",
    "Today we talk about bridges.",
]


def rows(columns: dict, **known: list) -> pl.DataFrame:
    frame = pl.DataFrame({k: pl.Series(k, v, dtype=columns[k][0]) for k, v in known.items()})
    return frame.select(frame[k] if k in known else pl.lit(None, dtype=t).alias(k) for k, (t, _) in columns.items())


def tables() -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    key = {"segment_id": ["a", "b", "c"], "episode_id": ["e", "e", "f"], "segment_index": [0, 1, 0]}
    times = {"start": [0.0, 5.0, 0.0], "end": [4.0, 9.0, 2.0], "duration": [4.0, 4.0, 2.0]}
    return (
        rows(Score.columns, **key),
        rows(SEGMENTS, **key, **times),
        rows(TRANSCRIPTS, **key, text=TEXTS, language=["en"] * 3),
    )


def test_texts_are_measured_and_policies_see_it():
    policy = Policy(name="mine", version=1, rules=(Rule(column="hallucinated", maximum=0, reason="not said"),))
    table = add_text_and_policy(*tables(), policy)
    assert table.schema == schema(QUALITY_SCORES)
    assert table["reject_reasons"].to_list() == [["not said"], [], []]
    assert table["text_flags"].to_list() == [["known_phrase"], [], []]
    assert table["pii"].null_count() == table["reference_wer"].null_count() == 3


def test_references_and_care_are_added_where_there_are_any():
    cues = rows(REFERENCES, language=["en"], start=[40.0], end=[42.0], text=["today we talk about bridge"])
    table = add_text_and_policy(
        *tables(), load_policy("all"), references={"f": cues}, care=frozenset({"pii", "numbers"})
    )
    assert table["reference_wer"].to_list() == [None, None, 0.2]
    assert table["pii"].to_list() == [[], ["phone"], []]
    assert table["text_digits"][1] == "My number is (212) 736-5000, I have 21 of them."


def test_a_second_recognizer_is_compared():
    key = {"segment_id": ["c", "a"], "episode_id": ["f", "e"], "segment_index": [0, 0]}
    second = rows(SECOND_OPINIONS, **key, text=["today they talk about bridges", ""])
    table = add_text_and_policy(*tables(), load_policy("all"), second=second)
    assert table["second_wer"].to_list() == [None, None, 0.2]
    assert table["second_cer"][2] == pytest.approx(3 / 25)


def test_what_was_compared_is_not_compared_again(monkeypatch: pytest.MonkeyPatch):
    cues = {"f": rows(REFERENCES, language=["en"], start=[40.0], end=[42.0], text=["today we talk about bridge"])}
    key = {"segment_id": ["c", "a"], "episode_id": ["f", "e"], "segment_index": [0, 0]}
    second = rows(SECOND_OPINIONS, **key, text=["today they talk about bridges", "thanks"])
    scores, segments, transcripts = tables()

    def made(texts: pl.DataFrame, before: pl.DataFrame | None) -> pl.DataFrame:
        policy = load_policy("all" if before is None else "asr")
        return add_text_and_policy(scores, segments, texts, policy, references=cues, second=second, before=before)

    first = made(transcripts, None)
    normalized: list[str] = []
    real = comparison.spoken_words
    for module in (comparison, agreement):
        monkeypatch.setattr(module, "spoken_words", lambda texts, of: normalized.extend(texts) or real(texts, of))

    again = made(transcripts, first)
    assert normalized == [], "another policy compares nothing"
    assert again.select(comparison.COMPARISON_COLUMNS).equals(first.select(comparison.COMPARISON_COLUMNS))
    assert again["policy"].unique().to_list() == ["asr-v4"]

    other = transcripts.with_columns(text=pl.col("text").replace("Thanks for watching!", "Thanks!"))
    changed = made(other, again)
    assert "Thanks!" in normalized
    assert not any("bridges" in text for text in normalized), "the other episode is as it was"
    assert changed["second_wer"].to_list() == [0.0, None, 0.2]
    assert changed["reference_wer"].to_list() == [None, None, 0.2]


def test_punctuation_is_shown_where_it_is_of_the_same_text():
    key = {"segment_id": ["c", "a"], "episode_id": ["f", "e"], "segment_index": [0, 0]}
    made = rows(PUNCTUATED_TEXTS, **key, text_punctuated=["Today, we talk about bridges?", "Thank you for watching!"])
    table = add_text_and_policy(*tables(), load_policy("all"), punctuated=made)
    assert table["text_punctuated"].to_list() == [None, None, "Today, we talk about bridges?"]


def test_no_rows():
    scores, segments, transcripts = (t.clear() for t in tables())
    table = add_text_and_policy(scores, segments, transcripts, load_policy("all"), care=frozenset({"pii"}))
    assert table.schema == schema(QUALITY_SCORES)
