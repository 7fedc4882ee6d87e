"""Windows of DNSMOS: where they begin in a segment, and which can share computations."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from podcast_assets.speech.types import SAMPLE_RATE, Samples

WINDOW_SECONDS = 9.01
WINDOW = int(WINDOW_SECONDS * SAMPLE_RATE)
"""Samples of a window."""
FRAME = 160
"""Samples from one frame to the next."""
FRAMES = 900
"""Frames of a window."""
ALIGNMENT = 4
"""Windows share work if their beginnings are a multiple of this number of frames apart: see `p835`."""
REFERENCE_HOP = 1.0
"""Seconds from one window to the next in the reference."""


@dataclass(frozen=True, slots=True)
class WindowRun:
    """Samples with the beginnings of aligned windows, each of which overlaps the next."""

    samples: Samples
    """From the beginning of the first window to the end of the last, 16 kHz."""
    begins: Sequence[int]
    """In frames, from 0."""


def repeat_short(samples: Samples) -> Samples:
    """Return at least WINDOW samples: a shorter segment is doubled until it is long enough, as in the reference."""
    times = 1
    while len(samples) * times < WINDOW:
        times *= 2
    return np.tile(samples, times) if times > 1 else samples


def window_starts(samples: int, hop: float) -> list[int]:
    """Return the first samples of the windows in a segment of `samples` (WINDOW or more) samples.

    The reference first rounds the segment down to whole seconds, and skips windows that rounding makes a sample too short (those at
    7 to 23 s and some beyond 100 s). Published scores include both effects, so they are reproduced at its hop.
    """
    last = int(samples // SAMPLE_RATE - WINDOW_SECONDS)
    starts = [i * hop for i in range(int(last / hop) + 1)]
    if hop == REFERENCE_HOP:
        starts = [s for s in starts if int((s + WINDOW_SECONDS) * SAMPLE_RATE) - int(s * SAMPLE_RATE) >= WINDOW]
    return [round(start * SAMPLE_RATE) for start in starts]


def group_windows(samples: Samples, starts: Iterable[int], most: int) -> Iterator[WindowRun]:
    """Group the windows that begin at some samples, in that order, at most `most` in a run.

    A window that does not overlap the previous one, or is not aligned with it, begins a new run.
    """
    first, begins = 0, list[int]()
    for start in starts:
        frames, beyond = divmod(start - first, FRAME)
        if begins and (beyond or frames % ALIGNMENT or frames - begins[-1] >= FRAMES or len(begins) >= most):
            yield _make_run(samples, first, begins)
            begins = []
        if not begins:
            first, frames = start, 0
        begins.append(frames)
    if begins:
        yield _make_run(samples, first, begins)


def _make_run(samples: Samples, first: int, begins: list[int]) -> WindowRun:
    return WindowRun(samples[first : first + begins[-1] * FRAME + WINDOW], begins)
