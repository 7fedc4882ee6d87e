from itertools import pairwise

import numpy as np
import pytest

from podcast_assets.speech.diarizers.exclusive import exclusive_turns
from podcast_assets.speech.types import Turn

FRAME = 0.5


def activity(**speakers: list[float]) -> dict[str, np.ndarray]:
    return {name: np.array(values, np.float32) for name, values in speakers.items()}


def test_turns_that_do_not_overlap_stay_as_they_are():
    turns = [Turn(0, 1, "A"), Turn(1, 2, "B"), Turn(2.5, 3, "A"), Turn(3.5, 4, "A")]
    assert exclusive_turns(turns, activity(A=[1] * 8, B=[1] * 8), FRAME) == turns


def test_an_interruption_goes_to_the_likelier_speaker():
    full = [Turn(0, 2, "A"), Turn(1, 3, "B")]
    keeps = exclusive_turns(full, activity(A=[1, 1, 0.9, 0.9, 0, 0], B=[0, 0, 0.6, 0.6, 1, 1]), FRAME)
    assert keeps == [Turn(0, 2, "A", 0.5), Turn(2, 3, "B", 0)]
    loses = exclusive_turns(full, activity(A=[1, 1, 0.6, 0.6, 0, 0], B=[0, 0, 0.9, 0.9, 1, 1]), FRAME)
    assert loses == [Turn(0, 1, "A", 0), Turn(1, 3, "B", 0.5)]


def test_an_overlapped_stretch_is_not_cut_to_pieces():
    full = [Turn(0, 3, "A"), Turn(0, 3, "B")]
    wavering = activity(A=[0.95, 0.6, 0.95, 0.6, 0.95, 0.6], B=[0.7, 0.8, 0.7, 0.8, 0.7, 0.8])
    assert exclusive_turns(full, wavering, FRAME) == [Turn(0, 3, "A", 1)]


def test_who_is_talked_over_keeps_the_turn_and_who_is_interrupted_has_two():
    full = [Turn(0, 4, "A"), Turn(1, 2, "B")]
    quiet = exclusive_turns(full, activity(A=[1] * 8, B=[0, 0, 0.6, 0.6, 0, 0, 0, 0]), FRAME)
    assert quiet == [Turn(0, 4, "A", 0.25)]
    loud = exclusive_turns(full, activity(A=[0.7] * 8, B=[0, 0, 0.9, 0.9, 0, 0, 0, 0]), FRAME)
    assert loud == [Turn(0, 1, "A", 0), Turn(1, 2, "B", 1), Turn(2, 4, "A", 0)]


def test_of_equals_who_spoke_first_goes_on():
    full = [Turn(1, 3, "B"), Turn(0, 2, "A")]
    assert [t.speaker for t in exclusive_turns(full, activity(A=[0.8] * 6, B=[0.8] * 6), FRAME)] == ["A", "B"]


def test_frames_that_are_missing_at_the_end_count_as_silence():
    full = [Turn(0, 3, "A"), Turn(1, 3, "B")]
    assert [t.speaker for t in exclusive_turns(full, activity(A=[1, 1], B=[1, 1, 1]), FRAME)] == ["A", "B"]


def test_whatever_overlaps_nobody_speaks_at_once_and_nothing_of_the_speech_is_lost():
    random = np.random.default_rng(4)
    full = [
        Turn(float(start), float(start + length), speaker)
        for speaker in "ABCD"
        for start, length in zip(
            np.arange(0, 60, 3) + random.uniform(0, 1, 20), random.uniform(0.3, 2, 20), strict=True
        )
    ]
    found = exclusive_turns(full, {s: random.random(120).astype(np.float32) for s in "ABCD"}, FRAME)
    assert all(a.end <= b.start for a, b in pairwise(found))
    grid = np.arange(0, 62, 0.01)
    spoken = [any(t.start <= x < t.end for t in full) for x in grid]
    assert [any(t.start <= x < t.end for t in found) for x in grid] == spoken
    assert all(any(f.speaker == t.speaker and f.start <= t.start and t.end <= f.end for f in full) for t in found)


@pytest.mark.parametrize("full", [[], [Turn(0, 1, "A")]])
def test_nothing_and_one_turn(full: list[Turn]):
    assert exclusive_turns(full, activity(A=[1, 1]), FRAME) == full
