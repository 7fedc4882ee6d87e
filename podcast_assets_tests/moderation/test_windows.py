"""Windows: whole turns with context, nothing lost, nothing cut silently, and always within the classifier's limit."""

import itertools
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from podcast_assets.moderation.windows import OVERLAP_WORDS, JudgedSegment, count_words, plan_windows, split_text

WORDS = "one two three four five six seven eight nine ten".split()


def speak(*turns: tuple[str, int], language: str | None = "en") -> list[JudgedSegment]:
    """Segments of (speaker, number of words), each of a second."""
    rng = random.Random(len(turns))
    return [
        JudgedSegment(f"s{i}", float(i), i + 1.0, speaker, " ".join(rng.choices(WORDS, k=words)), language)
        for i, (speaker, words) in enumerate(turns)
    ]


def ids(segments: list[JudgedSegment], **options: object) -> list[tuple[str, ...]]:
    return [w.segment_ids for w in plan_windows(segments, **options).windows]  # type: ignore[arg-type]


def within(words: int) -> Callable[[str], bool]:
    """A classifier's limit in words."""
    return lambda text: count_words(text) <= words


def test_a_short_episode_is_one_window_with_a_line_per_turn() -> None:
    segments = speak(("A", 3), ("A", 2), ("B", 4))
    (window,) = plan_windows(segments).windows
    assert window.text.split("\n") == [f"{segments[0].text} {segments[1].text}", segments[2].text]
    assert (window.start, window.end, window.language) == (0.0, 3.0, "en")


def test_windows_overlap_by_one_turn_and_keep_turns_whole() -> None:
    segments = speak(("A", 20), ("B", 20), ("A", 20), ("B", 20), ("A", 20))
    assert ids(segments, words=60) == [("s0", "s1", "s2"), ("s2", "s3", "s4")]
    # a turn that alone is nearly a window is no context
    assert ids(speak(("A", 50), ("B", 50), ("A", 50)), words=60) == [("s0",), ("s1",), ("s2",)]


def test_a_long_monologue_is_cut_between_its_segments() -> None:
    segments = speak(*[("A", 20)] * 6)
    assert ids(segments, words=60) == [("s0", "s1", "s2"), ("s3", "s4", "s5")]


def test_segments_without_text_are_left_out() -> None:
    segments = speak(("A", 5), ("B", 0), ("A", 5))
    assert ids(segments) == [("s0", "s2")]
    assert plan_windows(speak(("A", 0))).windows == ()


def test_the_language_is_that_of_most_words() -> None:
    english, german, unknown = speak(("A", 3), ("B", 9), ("C", 20))
    mixed = [english, replace(german, language="de"), replace(unknown, language=None)]
    assert plan_windows(mixed).windows[0].language == "de"
    assert plan_windows(speak(("A", 3), language=None)).windows[0].language is None


@pytest.mark.parametrize("limit", [1, 7, 12, 30, 100])
def test_every_word_is_in_a_window_that_fits(limit: int) -> None:
    rng = random.Random(limit)
    segments = [
        JudgedSegment(
            f"s{i}", i, i + 1, rng.choice("ABC"), " ".join(f"w{i}x{j}" for j in range(rng.randrange(60))), None
        )
        for i in range(40)
    ]
    plan = plan_windows(segments, words=50, fits=within(limit))
    assert not plan.too_long
    assert all(count_words(w.text) <= limit for w in plan.windows)
    said = {word for s in segments for word in s.text.split()}
    assert {word for w in plan.windows for word in w.text.split()} == said
    by_id = {s.segment_id: s for s in segments}
    for window in plan.windows:
        words = {word for s in window.segment_ids for word in by_id[s].text.split()}
        assert set(window.text.split()) <= words
    assert (plan.split_turns > 0) == (limit < 60)


def test_a_turn_that_does_not_fit_is_split_at_sentences_with_some_overlap() -> None:
    sentences = [f"This is sentence number {i} of a long and rather boring talk." for i in range(12)]
    pieces = split_text(" ".join(sentences), within(40))
    assert len(pieces) > 3
    assert all(piece.endswith("talk.") for piece in pieces)
    for before, after in itertools.pairwise(pieces):
        assert before.split()[-OVERLAP_WORDS:] == after.split()[:OVERLAP_WORDS]


def test_characters_count_where_words_have_no_spaces() -> None:
    assert count_words("你好世界 hello world") == 6
    pieces = split_text("今天天气很好我们去公园散步" * 4, within(20))
    assert all(len(p) <= 20 for p in pieces)
    assert len(pieces) > 2


def test_what_fits_no_window_is_named_and_not_cut() -> None:
    plan = plan_windows(speak(("A", 5), ("B", 5)), fits=lambda _: False)
    assert plan.too_long == {0, 1}
    assert [w.segment_ids for w in plan.windows] == [("s0",), ("s1",)]
