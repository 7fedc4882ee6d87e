"""Shared post-processing of diarizers: speaker bounds, exclusive turns, overlap and names."""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from podcast_assets.speech.types import Turn


def speaker_bounds(settings: tuple[int, int], least: int | None, most: int | None) -> tuple[int, int]:
    """Return the bounds on an episode's number of speakers; values known for the episode override the settings.

    Args:
        settings: fewest and most speakers by the engine's settings.
        least: fewest speakers of the episode; None if unknown.
        most: most speakers of the episode; None if unknown.

    Raises:
        ValueError: the episode's bounds contradict each other.
    """
    low = settings[0] if least is None else least
    high = settings[1] if most is None else most
    if least is None:
        low = min(low, high)
    elif most is None:
        high = max(low, high)
    if not 1 <= low <= high:
        raise ValueError(f"an episode cannot have at least {low} and at most {high} speakers")
    return low, high


def one_at_a_time(turns: Iterable[Turn]) -> list[Turn]:
    """Cut overlapping turns where another begins, in order of start; the rest of the longer one continues after it."""
    waiting = [(t.start, t.end, t.speaker or "") for t in turns]
    heapq.heapify(waiting)
    cut: list[tuple[float, float, str]] = []
    while waiting:
        start, end, speaker = heapq.heappop(waiting)
        if cut and cut[-1][1] > start:
            before_start, before_end, before = cut.pop()
            if before_start < start:
                cut.append((before_start, start, before))
            if before_end > end:
                heapq.heappush(waiting, (end, before_end, before))
        cut.append((start, end, speaker))
    return [Turn(start, end, speaker or None) for start, end, speaker in cut]


def add_overlap(turns: Sequence[Turn], full: Sequence[Turn]) -> list[Turn]:
    """Add to each turn the share in which another speaker speaks too.

    Args:
        turns: turns with at most one speaker at a time.
        full: every stretch of every speaker.
    """
    starts, ends = np.array([t.start for t in full]), np.array([t.end for t in full])
    measured = []
    for turn in turns:
        near = np.flatnonzero((starts < turn.end) & (ends > turn.start)).tolist()
        others = sorted((full[i].start, full[i].end) for i in near if full[i].speaker != turn.speaker)
        shared, covered_until = 0.0, turn.start
        for start, end in others:
            shared += max(0.0, min(end, turn.end) - max(start, covered_until))
            covered_until = max(covered_until, end)
        measured.append(replace(turn, overlap=min(shared / (turn.end - turn.start), 1.0)))
    return measured


def names_by_appearance(*turns: Sequence[Turn]) -> dict[str, str]:
    """Map labels to SPEAKER_00, SPEAKER_01, … in order of first appearance; labels of later lists come last."""
    names: dict[str, str] = {}
    for some in turns:
        for turn in sorted(some, key=lambda t: t.start):
            if turn.speaker is not None:
                names.setdefault(turn.speaker, f"SPEAKER_{len(names):02d}")
    return names
