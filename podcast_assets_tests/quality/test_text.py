# ruff: noqa: RUF001 (letters of many scripts)
"""Measures of texts, on texts whose measures can be counted by hand."""

from typing import Any

import polars as pl
import pytest

from podcast_assets.quality.text.measures import TEXT_COLUMNS, find_hallucinations, text_measures
from podcast_assets.speech.types import Transcript, Turn


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
    assert found["words_per_second"] == 6.5
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


def test_words_that_the_recognizer_placed_outside_are_told():
    assert measures("in out nowhere", flags=["no_speakers", "words_outside"])["text_flags"] == ["words_outside"]
    assert measures("in out nowhere", flags=["no_speakers"])["text_flags"] == []


@pytest.mark.parametrize(
    ("no_speech_prob", "avg_logprob", "told"),
    [(0.65, -0.15, False), (0.65, -1.2, True), (0.3, -1.2, False), (0.65, None, False), (None, -1.2, False)],
)
def test_no_speech_is_flagged_by_whispers_rule(no_speech_prob: float | None, avg_logprob: float | None, told: bool):
    text = "A perfectly good sentence that was said."
    found = measures(text, 3, no_speech_prob=no_speech_prob, avg_logprob=avg_logprob)
    assert (found["text_flags"], found["hallucinated"]) == (["no_speech"] if told else [], told)


@pytest.mark.parametrize(
    ("text", "seconds", "language"),
    [("Yes.", 0.1, "en"), ("对。", 0.15, "zh"), ("Ich heiße", 0.08, "de"), ("네, 맞아", 0.2, "ko")],
)
def test_what_is_short_is_never_too_fast(text: str, seconds: float, language: str):
    assert measures(text, seconds, language=language)["text_flags"] == []
    assert "too_fast" in measures(f"{text} " * 5, seconds, language=language)["text_flags"]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("对对对对对对对", "zh"),
        ("哈哈哈哈哈哈哈", "zh"),
        ("好的好的好的好的好的", "zh"),
        ("はいはいはいはい", "ja"),
        ("そうそうそうそう。", "ja"),
        ("うんうんうんうん", "ja"),
        ("そうですねそうですねそうですね", "ja"),
        ("なるほどなるほどなるほど、それは面白い。", "ja"),
        ("ฮ่า ฮ่า ฮ่า ฮ่า", "th"),
        ("ครับครับครับครับ", "th"),
        ("no no no no no no no", "en"),
        ("La la la la la la la la", "en"),
        ("Yeah, yeah, yeah, yeah, yeah, yeah, yeah, I know.", "en"),
        ("Ja ja ja ja ja ja ja.", "de"),
        ("да да да да да да да", "ru"),
    ],
)
def test_what_people_say_over_and_over_is_no_loop(text: str, language: str):
    assert measures(text, 3, language=language)["text_flags"] == []


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("no " * 20, "en"),
        ("to " * 8, "en"),
        ("no thank you " * 4, "en"),
        ("对" * 20, "zh"),
        ("我们走吧" * 4, "zh"),
        ("水" * 12, "zh"),
        ("今日は水" * 5, "ja"),
    ],
)
def test_what_nobody_says_over_and_over_is_a_loop(text: str, language: str):
    assert "loop" in measures(text, 5, language=language)["text_flags"]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("我们用GitHub Copilot", "zh"),
        ("GitHub Copilot", "zh"),
        ("今日はGoogle Analyticsの話", "ja"),
        ("저는 Visual Studio Code 써요", "ko"),
        ("Это iPhone Pro Max", "ru"),
        ("मैं GitHub पर code push करता हूँ", "hi"),
        ("我哋今日喺度講嘢", "yue"),
        ("東京都知事", "ja"),
    ],
)
def test_names_and_words_of_another_language_are_spoken_in_this_one(text: str, language: str):
    for identified in (None, *([] if text.isascii() else ["en", "de"])):
        assert measures(text, 3, language=language, text_language=identified)["text_flags"] == []


@pytest.mark.parametrize(
    ("text", "language", "identified"),
    [
        ("I have no idea what you are talking about.", "zh", "en"),
        ("I have no idea what you are talking about.", "zh", None),
        ("Ich habe keine Ahnung, 我 wovon du redest, ganz und gar nicht.", "zh", None),
        ("今天我们讨论一下城市的历史", "ja", "zh"),
        ("今日は都市の歴史と水の話をします", "zh", "ja"),
        ("今日は都市の歴史と水の話をします", "zh", None),
        ("I have no idea what you are talking about.", "de", "en"),
        ("Я не знаю, о чём вы говорите", "en", None),
    ],
)
def test_another_language_is_told(text: str, language: str, identified: str | None):
    assert measures(text, 3, language=language, text_language=identified)["text_flags"] == ["wrong_language"]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("We'll be right back.", "en"),
        ("The end.", "en"),
        ("Don't forget to subscribe!", "en"),
        ("Bis zum nächsten Mal!", "de"),
        ("Abonnez-vous !", "fr"),
        ("Alla prossima puntata!", "it"),
        ("Dziękuję za uwagę.", "pl"),
        ("До новых встреч!", "ru"),
        ("我们下期再见。", "zh"),
    ],
)
def test_lines_that_podcasts_close_with_need_a_second_reason(text: str, language: str):
    assert measures(text, 1.5, language=language)["text_flags"] == []
    assert measures(text, 20, language=language)["hallucinated"]
    assert measures(text, 1.5, language=language, avg_logprob=-1.3)["hallucinated"]


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


def test_texts_of_several_episodes_are_judged_as_alone():
    said = ["So we went home.", "Thank you all.", "Thank you all.", "Thank you all.", " ".join(["we went home"] * 5)]
    turns, transcripts = [Turn(0.0, 2.0, None)] * len(said), [Transcript(text, language="en") for text in said]
    loop = ["loop"]
    assert find_hallucinations(turns, transcripts) == [[], loop, loop, loop, loop], "one episode"
    assert find_hallucinations(turns, transcripts, [0, 0, 1, 2, 2]) == [[], [], [], [], loop]


def test_no_segments():
    assert text_measures(pl.DataFrame(schema={"text": pl.String, "duration": pl.Float64})).columns == TEXT_COLUMNS
