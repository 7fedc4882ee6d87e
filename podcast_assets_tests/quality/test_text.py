# ruff: noqa: RUF001 (letters of many scripts)
"""Measures of texts, on texts whose measures can be counted by hand."""

from typing import Any

import polars as pl
import pytest

from podcast_assets.quality.text import TEXT_COLUMNS, text_measures


def measures(text: str | None, duration: float = 5.0, **others: Any) -> dict[str, Any]:
    row = {"text": text, "duration": duration, "start": 10.0, "end": 10.0 + duration} | others
    return text_measures(pl.DataFrame([row])).row(0, named=True)


def test_a_sentence():
    found = measures("Ask not, what your country can do for you.", 4.0, language="en")
    assert found.pop("text_flags") == []
    assert found == pytest.approx(
        {
            "chars_per_second": 34 / 4,
            "words_per_second": 9 / 4,
            "unique_word_share": 1.0,
            "ngram_repetition": 0.0,
            "script": "latin",
            "rate_ratio": 34 / 4 / 14,
            "loop_words": 0,
            "same_text_segments": 1,
            "known_phrase": None,
            "words_outside_share": None,
            "digit_share": 0.0,
            "uppercase_share": 1 / 32,
            "punctuation_share": 2 / 34,
            "hallucinated": False,
        }
    )


def test_repetition_is_counted():
    once = measures("thank you for coming and goodbye")
    loop = measures("Thank you for coming. " * 10)
    assert (once["ngram_repetition"], once["loop_words"]) == (0, 0)
    assert loop["ngram_repetition"] == pytest.approx(1 - 4 / 38)
    assert loop["unique_word_share"] == pytest.approx(0.1)
    assert loop["loop_words"] == 36


def test_case_and_punctuation_make_no_new_words():
    assert measures("No, no; NO! «no»")["unique_word_share"] == 0.25


@pytest.mark.parametrize("text", ["हिन्दी हिन्दु", "don't donut", "C C++ -"])
def test_marks_inside_words_and_vowel_signs_count(text):
    assert measures(text)["unique_word_share"] == pytest.approx(1.0 if "C" not in text else 0.5)


def test_characters_stand_for_words_where_no_spaces_are_written():
    found = measures("不要问你的国家能为你做什么", 2)
    assert found["chars_per_second"] == 6.5
    assert found["unique_word_share"] == pytest.approx(12 / 13)
    assert measures("我们走吧" * 5)["loop_words"] == 16


@pytest.mark.parametrize("text", ["", "   ", "…", "- !", None])
def test_a_text_without_words_is_empty(text):
    found = measures(text, 3)
    assert found["text_flags"] == ["empty"]
    assert not found["hallucinated"]
    assert {found[name] for name in TEXT_COLUMNS[:4]} == {None}


def test_no_duration_gives_no_rates():
    found = measures("two words", 0)
    assert found["chars_per_second"] is None
    assert found["rate_ratio"] is None
    assert found["unique_word_share"] == 1


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Ask not what", "latin"),
        ("Не спрашивай, что", "cyrillic"),
        ("今天我们讨论", "han"),
        ("今日は水の話をします", "kana"),
        ("오늘은 물 이야기", "hangul"),
        ("نتحدث اليوم عن الماء", "arabic"),
        ("आज हम पानी की बात", "devanagari"),
        ("วันนี้เราจะพูด", "thai"),
        ("આજે આપણે", "other"),
        ("Τι κάνεις", "greek"),
        ("היום נדבר", "hebrew"),
        ("1984, 2001", None),
        ("der iPhone-Kauf von 世界", "latin"),
    ],
)
def test_scripts(text: str, script: str):
    assert measures(text)["script"] == script


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("And so, my fellow Americans, ask not what your country can do for you.", 4.5),
        ("今天我们讨论一下城市的历史和水的故事", 3.6),
        ("今日は都市の歴史と水の話をしたいと思います", 3.0),
        ("오늘은 도시의 역사와 물 이야기를 해 보겠습니다", 3.2),
        ("Сегодня мы поговорим об истории города и о воде", 3.2),
        ("سنتحدث اليوم عن تاريخ المدينة وعن قصة الماء", 3.2),
        ("आज हम शहर के इतिहास और पानी की बात करेंगे", 3.0),
    ],
)
def test_speech_at_a_usual_pace_has_a_ratio_about_one_in_every_script(text: str, seconds: float):
    assert 0.6 < measures(text, seconds)["rate_ratio"] < 1.5
    assert "too_fast" in measures(text, seconds / 4)["text_flags"]
    assert "too_slow" in measures(text, seconds * 10)["text_flags"]


def test_words_outside_of_their_segment():
    words = [
        {"word": "in", "start": 10.0, "end": 11.0, "probability": None},
        {"word": "out", "start": 15.2, "end": 16.0, "probability": None},
        {"word": "nowhere", "start": None, "end": None, "probability": None},
    ]
    found = measures("in out nowhere", words=words)
    assert found["words_outside_share"] == 0.5
    assert "words_outside" in found["text_flags"]


def test_numbers_and_casing():
    found = measures("In 1984 NASA …")
    assert found["digit_share"] == pytest.approx(4 / 10)
    assert found["uppercase_share"] == pytest.approx(5 / 6)
    assert measures("今天")["uppercase_share"] is None


def test_one_text_in_segments_that_follow_each_other_is_a_loop():
    texts = ["Thank you all.", "thank you, all", "Thank you all!", "Yes.", "Yes.", "Yes.", "Something else."]
    rows = pl.DataFrame({"text": texts, "duration": 2.0, "episode_id": "a", "segment_index": list(range(7))})
    shuffled = rows.sample(fraction=1.0, shuffle=True, seed=1)
    found = text_measures(shuffled).hstack(shuffled.select("segment_index")).sort("segment_index")
    assert found["same_text_segments"].to_list() == [3, 3, 3, 3, 3, 3, 1]
    assert ["loop" in flags for flags in found["text_flags"]] == [True] * 3 + [False] * 4


def test_other_episodes_are_no_neighbours():
    rows = pl.DataFrame({"text": "Hello there.", "duration": 2.0, "episode_id": ["a", "b", "c"], "segment_index": 0})
    assert text_measures(rows)["same_text_segments"].to_list() == [1, 1, 1]


def test_no_segments():
    assert text_measures(pl.DataFrame(schema={"text": pl.String, "duration": pl.Float64})).columns == TEXT_COLUMNS
