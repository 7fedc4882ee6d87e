"""What a recognizer hears around a turn that touches another speaker's, and to which of them a word goes."""

import numpy as np

from podcast_assets.speech.transcribers.context import (
    CONTEXT_SECONDS,
    drop_doubled_again,
    drop_doubled_words,
    widen_turns,
)
from podcast_assets.speech.transcribers.window_results import PlannedWindow, WindowResult, to_transcripts
from podcast_assets.speech.transcribers.windows import Window, cut_turns
from podcast_assets.speech.types import SAMPLE_RATE, EpisodeSpeech, Transcript, Turn, Word

A, B = Turn(1.0, 3.0, "A"), Turn(3.0, 5.0, "B")


def word(text: str, start: float, end: float) -> Word:
    return Word(f" {text}", start, end, 0.9)


def test_only_edges_that_touch_somebody_else_get_context() -> None:
    own_cut, apart, inside = Turn(5.0, 6.0, "B"), Turn(7.0, 8.0, "A"), Turn(7.2, 7.5, "B")
    widened = widen_turns([A, B, own_cut, apart, inside])
    assert widened == [(1.0, 3.0 + CONTEXT_SECONDS), (3.0 - CONTEXT_SECONDS, 5.0), (5.0, 6.0), (7.0, 8.0), (7.2, 7.5)]
    assert widen_turns([B], around=[A, B]) == [(3.0 - CONTEXT_SECONDS, 5.0)]
    assert widen_turns([Turn(1.0, 2.0, None), Turn(2.0, 3.0, None)]) == [(1.0, 2.0), (2.0, 3.0)]


def test_a_word_at_an_edge_is_in_one_turn() -> None:
    """Each turn hears the word that the edge splits, and the neighbour's next word too."""
    speech = EpisodeSpeech("e", np.zeros(6 * SAMPLE_RATE, np.float32), [A, B], "en")
    pieces = list(cut_turns(speech.audio, speech.turns, 30.0, widen_turns(speech.turns)))
    assert [(p.start, p.end) for p in pieces] == [(16_000, 51_200), (44_800, 80_000)]
    plan = [PlannedWindow(Window((p,))) for p in pieces]
    first = [word("my", 1.4, 1.7), word("house", 1.8, 2.1), word("is", 2.15, 2.9)]  # in seconds of its window
    second = [word("house", 0.0, 0.3), word("is", 0.35, 0.6), word("small", 0.7, 1.1)]
    before, after = to_transcripts(speech, plan, [WindowResult(first), WindowResult(second)])
    assert (before.text, after.text) == ("my house", "is small")
    assert all(A.start <= w.start <= w.end <= A.end for w in before.words if w.start is not None and w.end is not None)


def test_a_new_text_shares_no_word_with_its_neighbour() -> None:
    """The second text was made alone, so that its first word was not held against the first text."""
    transcripts = [
        Transcript("Hello. Oh,", [Word("Hello.", 2.2, 2.5, 0.9), Word("Oh,", 2.9, 3.0, 0.9)]),
        Transcript("Oh, I did not know.", [Word("Oh,", 3.0, 3.2, 0.9), Word("I", 3.3, 3.4, 0.9)]),
    ]
    unchanged = drop_doubled_again([A, B], transcripts, [])
    assert [t.text for t in unchanged] == ["Hello. Oh,", "Oh, I did not know."]
    settled = drop_doubled_again([A, B], transcripts, [1])
    assert [t.text for t in settled] == ["Hello.", "Oh, I did not know."]
    assert [len(t.words) for t in settled] == [1, 2]


def test_words_that_are_said_twice_stay() -> None:
    """The same word at both sides of an edge, half a second apart, was said twice; turns that overlap share what is said."""
    twice = [[word("no", 2.4, 2.7)], [word("No,", 3.1, 3.3)]]
    drop_doubled_words([A, B], twice)
    assert [len(words) for words in twice] == [1, 1]
    shared = [[word("no", 2.8, 3.1)], [word("no", 2.8, 3.1)]]
    drop_doubled_words([A, Turn(2.0, 5.0, "B")], shared)
    assert [len(words) for words in shared] == [1, 1]
    once = [[word("no", 2.8, 3.1)], [word("No,", 2.9, 3.15)]]
    drop_doubled_words([A, B], once)
    assert [len(words) for words in once] == [1, 0]
