"""Turns cut into pieces and packed into windows: nothing left out, nothing heard twice, and the way back."""

import numpy as np
import pytest

from podcast_assets.speech.transcribers.windows import PAUSE_SECONDS, Piece, Window, cut_turns, pack_windows
from podcast_assets.speech.types import SAMPLE_RATE, Samples, Turn


def noise(seconds: float, level: float = 0.3) -> Samples:
    return np.random.default_rng(0).normal(0, level, int(seconds * SAMPLE_RATE)).astype(np.float32)


def test_long_turns_are_cut_in_their_pauses() -> None:
    audio = noise(20)
    pauses = [(5.6, 5.9), (11.0, 11.3), (16.2, 16.5)]
    for start, end in pauses:
        audio[int(start * SAMPLE_RATE) : int(end * SAMPLE_RATE)] *= 0.001
    pieces = list(cut_turns(audio, [Turn(0, 20, "A")], 8.0))
    assert (pieces[0].start, pieces[-1].end) == (0, len(audio))
    assert [p.end for p in pieces[:-1]] == [p.start for p in pieces[1:]]
    for piece, (start, end) in zip(pieces, pauses, strict=False):
        assert start <= piece.end / SAMPLE_RATE <= end


@pytest.mark.parametrize("seconds", [8.0, 8.01, 8.5, 16.0, 16.1, 61.3])
def test_pieces_are_never_too_long_and_leave_nothing_out(seconds: float) -> None:
    audio = noise(seconds)
    audio[int(7.7 * SAMPLE_RATE) : int(7.95 * SAMPLE_RATE)] = 0  # a pause so late that a scrap would be left
    pieces = list(cut_turns(audio, [Turn(0, seconds, "A")], 8.0))
    lengths = [(p.end - p.start) / SAMPLE_RATE for p in pieces]
    assert max(lengths) <= 8.0
    assert min(lengths) > 0.5
    assert sum(p.end - p.start for p in pieces) == len(audio)


def test_windows_hold_one_speaker_and_every_piece_once() -> None:
    turns = [Turn(2 * i, 2 * i + 1.5, "AB"[i % 2]) for i in range(40)]
    pieces = list(cut_turns(noise(80), turns, 30.0))
    windows = pack_windows(pieces, turns, 30.0)
    assert sorted(p.turn for w in windows for p in w.pieces) == list(range(40))
    for window in windows:
        assert len({turns[p.turn].speaker for p in window.pieces}) == 1
        assert len(window) <= 30 * SAMPLE_RATE
        assert [p.turn for p in window.pieces] == sorted(p.turn for p in window.pieces)
    assert len(windows) == 4, "20 turns of 1.5 s with pauses of 0.5 s fill 39.5 s: two windows for each speaker"


def test_a_window_does_not_reach_over_the_whole_episode() -> None:
    """Two short turns of a rare speaker, far apart, are not heard together: the first would wait for the second."""
    turns = [Turn(0, 1, "rare"), *(Turn(i, i + 1, "often") for i in range(1, 60)), Turn(60, 61, "rare")]
    windows = pack_windows(list(cut_turns(noise(61), turns, 30.0)), turns, 30.0)
    assert [len(w.pieces) for w in windows if turns[w.pieces[0].turn].speaker == "rare"] == [1, 1]


def test_a_window_sounds_like_its_pieces_with_silence_between() -> None:
    audio = noise(10)
    window = Window((Piece(0, 0, 16_000), Piece(2, 48_000, 64_000)))
    sound = window.samples(audio)
    pause = int(PAUSE_SECONDS * SAMPLE_RATE)
    np.testing.assert_array_equal(sound[:16_000], audio[:16_000])
    assert not sound[16_000 : 16_000 + pause].any()
    np.testing.assert_array_equal(sound[16_000 + pause :], audio[48_000:64_000])


@pytest.mark.parametrize(
    ("start", "end", "piece", "expected"),
    [(0.2, 0.5, 0, (0.2, 0.5)), (1.6, 1.9, 1, (3.1, 3.4)), (0.9, 1.2, 0, (0.9, 1.2)), (1.3, 1.7, 1, (2.8, 3.2))],
    ids=["inside the first", "inside the second", "late in the pause of the first", "early in the pause of the second"],
)
def test_a_stretch_of_a_window_finds_its_piece(
    start: float, end: float, piece: int, expected: tuple[float, float]
) -> None:
    window = Window((Piece(0, 0, 16_000), Piece(2, 48_000, 64_000)))
    index, *times = window.place(start, end)
    assert (index, times) == (piece, pytest.approx(list(expected)))
