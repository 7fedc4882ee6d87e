"""Exclusive diarization: where a model detects several speakers at once, only the most likely one is used."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from podcast_assets.speech.diarizers.turns import add_overlap
from podcast_assets.speech.types import Turn

Activity = npt.NDArray[np.float32]
"""Probability that a speaker speaks, per frame of the model, shape (frames,)."""
_SLACK = 1e-6
"""Tolerance in frames: times at frame borders are not exact in binary."""


def exclusive_turns(full: Sequence[Turn], activity: Mapping[str, Activity], frame: float) -> list[Turn]:
    """Return turns in order of their start, at most one speaker at a time, with the share in which others speak too.

    A stretch in which the same people speak at once goes to one of them as a whole: to the one with the highest mean probability
    or, if equal, who spoke first. A decision per frame would cut the words of two people who talk at once into pieces of 80 ms.
    A speaker who is interrupted has a turn before and a turn after; one who is only talked over keeps the turn.

    Args:
        full: every stretch of every speaker, named.
        activity: speaker → probabilities; missing frames count as 0.
        frame: length of a frame in seconds.
    """
    pieces: list[Turn] = []
    for start, end, speakers in _split_at_changes(full):
        winner = max(speakers, key=lambda s: _mean_probability(activity[s], start / frame, end / frame))
        if pieces and pieces[-1].end == start and pieces[-1].speaker == winner:
            pieces[-1] = Turn(pieces[-1].start, end, winner)
        else:
            pieces.append(Turn(start, end, winner))
    return add_overlap(pieces, full)


def _split_at_changes(turns: Sequence[Turn]) -> Iterator[tuple[float, float, list[str]]]:
    """Yield start, end and speakers of each stretch with constant speakers, those who began first in front."""
    ordered = sorted(turns, key=lambda t: (t.start, t.end))
    waiting, speaking = 0, []
    for start, end in pairwise(sorted({time for t in turns for time in (t.start, t.end)})):
        speaking = [t for t in speaking if t.end > start]
        while waiting < len(ordered) and ordered[waiting].start <= start:
            speaking.append(ordered[waiting])
            waiting += 1
        if speaking:
            yield start, end, [t.speaker for t in speaking]


def _mean_probability(activity: Activity, start: float, end: float) -> float:
    """Return the mean probability between two times, in frames."""
    first, last = math.floor(start + _SLACK), math.ceil(end - _SLACK)
    return float(activity[first:last].sum()) / max(last - first, 1)
