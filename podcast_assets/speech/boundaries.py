"""Boundaries of segments: a word at the edge of a turn is neither cut nor lost.

A diarizer's edges are a few hundredths of a second off, which may split the first or last word of a turn. So segments get a margin
where nobody speaks, and where two turns touch, the boundary between them moves to the quietest point nearby.
"""

from collections.abc import Callable, Sequence

import numpy as np

from podcast_assets.speech.types import SAMPLE_RATE, Audio

Stretch = tuple[int, int]
"""Start and end in milliseconds."""

_MS = SAMPLE_RATE // 1000  # samples
_FRAME = 10  # ms
_SMOOTHED = 5  # frames
_TOUCHING = 30
"""Milliseconds between two turns up to which they touch: less than a pause between words."""
_FARTHEST = 1.0
"""Natural log of energy that a point at the end of the search has to be quieter than one at the edge."""


def settle_boundaries(
    stretches: Sequence[Stretch],
    audio: Audio,
    overlapping: Callable[[int, int], bool],
    *,
    margin: float,
    search: float,
) -> list[Stretch]:
    """Move the edges of stretches.

    Args:
        stretches: in order of their start; edges inside another stretch stay.
        audio: the episode; read only near edges of stretches that touch.
        overlapping: whether the voices of stretches i and i + 1, which touch, overlap there: such an edge stays, as it is no pause.
        margin: seconds added at an edge where nobody speaks, at most up to the middle of the pause.
        search: seconds before and after the edge between two stretches that touch, in which the quietest point is taken.

    Returns:
        As many stretches, in the same order, inside the audio. None gets shorter than half of what it was by this.
    """
    starts, ends = [start for start, _ in stretches], [end for _, end in stretches]
    length, extra = len(audio) // _MS, round(margin * 1000)
    last = 0
    for i in range(1, len(stretches)):
        before, after = stretches[last], stretches[i]
        gap = after[0] - before[1]
        if gap > _TOUCHING:
            ends[last] += min(extra, gap // 2)
            starts[i] -= min(extra, gap // 2)
        elif gap >= 0 and search and not (i == last + 1 and overlapping(last, i)):
            reach = min(round(search * 1000), (before[1] - before[0]) // 2, (after[1] - after[0]) // 2)
            ends[last] = starts[i] = quietest_near(audio, (before[1] + after[0]) // 2, reach)
        if after[1] > before[1]:
            last = i
    if stretches:
        starts[0] = max(0, starts[0] - extra)
        ends[last] = min(length, ends[last] + extra)
    return list(zip(starts, ends, strict=True))


def quietest_near(audio: Audio, edge: int, reach: int) -> int:
    """Return the quietest time, in ms, within `reach` ms of an edge; a farther one has to be quieter (up to 4 dB)."""
    first, last = max(0, edge - reach), min(len(audio) // _MS, edge + reach)
    near = audio[first * _MS : last * _MS]
    frames = near[: len(near) // (_FRAME * _MS) * (_FRAME * _MS)].reshape(-1, _FRAME * _MS)
    if not len(frames):
        return edge
    energy = np.convolve((frames**2).mean(axis=1), np.full(_SMOOTHED, 1 / _SMOOTHED), "same")
    middle = first + _FRAME * (np.arange(len(energy)) + 0.5)
    cost = np.log(energy + 1e-9) + _FARTHEST * np.abs(middle - edge) / max(reach, 1)
    return int(middle[int(cost.argmin())])
