import pytest

from podcast_assets.quality.text import text_measures


def test_a_sentence():
    assert text_measures("Ask not, what your country can do for you.", 4.0) == {
        "chars_per_second": 34 / 4,
        "words_per_second": 9 / 4,
        "unique_word_share": 1.0,
        "ngram_repetition": 0.0,
    }


def test_a_loop_is_found():
    once = text_measures("thank you for watching and goodbye", 10)
    loop = text_measures("Thank you for watching. " * 10, 10)
    assert once["ngram_repetition"] == 0
    assert loop["ngram_repetition"] == pytest.approx(1 - 4 / 38)
    assert loop["unique_word_share"] == pytest.approx(0.1)


def test_case_and_punctuation_make_no_new_words():
    assert text_measures("No, no; NO! «no»", 1)["unique_word_share"] == 0.25


@pytest.mark.parametrize("text", ["हिन्दी हिन्दु", "don't donut", "C C++ -"])
def test_marks_inside_words_and_vowel_signs_count(text):
    assert text_measures(text, 1)["unique_word_share"] == pytest.approx(1.0 if "C" not in text else 0.5)


def test_languages_without_spaces_have_characters():
    assert text_measures("不要问你的国家能为你做什么", 2)["chars_per_second"] == 6.5


@pytest.mark.parametrize("text", ["", "   ", "…", "- !"])
def test_no_words_give_none(text):
    assert set(text_measures(text, 3).values()) == {None}


def test_no_duration_gives_no_rates():
    measures = text_measures("two words", 0)
    assert measures["chars_per_second"] is None
    assert measures["words_per_second"] is None
    assert measures["unique_word_share"] == 1
