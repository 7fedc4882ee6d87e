"""Pieces of words made into words."""

import math

import pytest

from podcast_assets.speech.transcribers.tokens import Token, insert_spaces, mean_logprob, to_words


def tokens(*texts: str) -> list[Token]:
    """Tokens of 0.1 s, one after the other."""
    return [Token(t, i / 10, (i + 1) / 10, math.log(0.5)) for i, t in enumerate(texts)]


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        ([" Hel", "lo", ",", " wor", "ld", "."], [" Hello,", " world."]),
        (["ing", " Tag"], ["ing", " Tag"]),
        ([" ", "¿", "Qué", " tal", "?"], [" ¿Qué", " tal?"]),
        ([" ", " the"], [" the"]),
        ([" a", "<unk>", "b", "<|nospeech|>", " <unk>"], [" ab"]),
        (["你", "好", "。", "世", "界"], ["你", "好。", "世", "界"]),
        (["我", " LO", "VE", "你"], ["我", " LOVE", "你"]),
        (["人", "LO", "VE"], ["人", "LOVE"]),
        ([" 20", "24", "年"], [" 2024", "年"]),
        (["𠀀", "中国"], ["𠀀", "中国"]),
        ([], []),
        (["", " "], []),
    ],
)
def test_words_begin_at_spaces_and_around_han(pieces: list[str], words: list[str]) -> None:
    assert [w.word for w in to_words(tokens(*pieces))] == words


def test_a_word_has_the_times_of_its_tokens_and_their_mean_probability() -> None:
    first, second = to_words(
        [Token(" wor", 0.2, 0.5, math.log(0.9)), Token("ld", 0.3, 0.4, math.log(0.5)), Token(" a", 0.6, 0.7, 0.0)]
    )
    assert (first.start, first.end) == (0.2, 0.5)
    assert first.probability == pytest.approx(0.7)
    assert (second.start, second.end, second.probability) == (0.6, 0.7, 1.0)


def test_what_a_decoder_does_not_tell_stays_unknown() -> None:
    silent, half = to_words([Token(" a"), Token(" b", 0.1, 0.2, -1.0), Token("c")])
    assert (silent.start, silent.end, silent.probability) == (None, None, None)
    assert (half.start, half.end, half.probability) == (None, None, None)


def test_mean_of_the_log_probabilities_is_known_only_if_all_are() -> None:
    assert mean_logprob([Token("a", logprob=-1.0), Token("b", logprob=-2.0)]) == -1.5
    assert mean_logprob([Token("a", logprob=-1.0), Token("b")]) is None
    assert mean_logprob([]) is None


@pytest.mark.parametrize(
    ("symbols", "text"),
    [
        (["你", "好"], "你好"),
        (["用", "app@@", "le", "和", "he@@", "l@@", "lo", "wor@@", "ld"], "用 apple 和 hello world"),
        (["he@@", "llo", "<unk>", "你"], "hello 你"),
        (["你", "<unk>", "好"], "你好"),
        (["le", "ld"], "le ld"),
    ],
)
def test_a_vocabulary_without_spaces_gets_those_of_running_text(symbols: list[str], text: str) -> None:
    words = to_words(Token(t) for t in insert_spaces(symbols))
    assert "".join(w.word for w in words) == text
