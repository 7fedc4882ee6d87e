"""Assignment of speakers to the stretches of an episode, by their voices."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from podcast_assets.speech.diarizers.embedded.voice_embeddings import Floats, VoiceWindows
from podcast_assets.speech.diarizers.frames_result import SpeakersByTrack
from podcast_assets.speech.diarizers.local_speakers import FRAME, Stretch

_SURE = 2.0
"""Seconds of speech from which an embedding is trusted alone; less is judged together with the rest of its track."""


def assign_speakers(
    stretches: Sequence[Stretch], windows: VoiceWindows, centres: Floats, switch_cost: float
) -> list[tuple[Stretch, int]]:
    """Give every stretch to the speaker with the nearest voice, and split it where the voice changes.

    The segmentation network misses some changes of speaker. The best path through the windows of a stretch finds them, where each
    change costs `switch_cost`, a difference of cosine similarities.

    Args:
        stretches: as of `LocalSpeakers.stretches`.
        windows: their embeddings.
        centres: embedding of each speaker, shape (speakers, d).
        switch_cost: cost of a change of speaker.

    Returns:
        Stretches in order, each with the index of its speaker. Those without an embedding go to the speaker of their track.
    """
    if not len(windows):
        return [(stretch, 0) for stretch in stretches]
    scores = _scores(stretches, windows, centres)
    assigned: list[tuple[Stretch, int]] = []
    for index, stretch in enumerate(stretches):
        own = np.flatnonzero(windows.stretch == index)
        if not len(own):
            continue
        path = _best_path(scores[own], switch_cost)
        middles = (windows.start[own] + windows.end[own]) / 2
        changes = [i for i in range(1, len(own)) if path[i] != path[i - 1]]
        borders = [
            stretch.start,
            *(stretch.start + round((middles[i - 1] + middles[i]) / 2 / FRAME) for i in changes),
            stretch.end,
        ]
        for i, first in enumerate((0, *changes)):
            assigned.append((Stretch(borders[i], borders[i + 1], stretch.track), path[first]))
    speakers, embedded = SpeakersByTrack(assigned), set(windows.stretch.tolist())
    short = [(s, speakers.nearest(s)) for i, s in enumerate(stretches) if i not in embedded]
    return sorted(assigned + short, key=lambda found: found[0].start)


def _scores(stretches: Sequence[Stretch], windows: VoiceWindows, centres: Floats) -> npt.NDArray[np.float64]:
    """Compute the similarity of each window to each speaker, shape (n, speakers); a short one's with that of its track."""
    alone = (windows.embedding @ centres.T).astype(np.float64)
    track = np.array([stretches[i].track for i in windows.stretch])
    _, inverse = np.unique(track, return_inverse=True)
    seconds = windows.seconds
    total = np.zeros((inverse.max() + 1, len(centres)))
    np.add.at(total, inverse, alone * seconds[:, None])
    together = (total / np.bincount(inverse, seconds)[:, None])[inverse]
    trust = np.clip(seconds / _SURE, 0.2, 1.0)[:, None]
    return trust * alone + (1 - trust) * together


def _best_path(scores: npt.NDArray[np.float64], switch_cost: float) -> list[int]:
    """Find the path with the highest sum of scores, shape (n, speakers), minus the costs of its changes (Viterbi)."""
    best = scores[0].copy()
    before = np.zeros(scores.shape, np.intp)
    for i in range(1, len(scores)):
        leader = int(best.argmax())
        stays = best >= best[leader] - switch_cost
        before[i] = np.where(stays, np.arange(scores.shape[1]), leader)
        best = np.where(stays, best, best[leader] - switch_cost) + scores[i]
    path = [int(best.argmax())]
    for i in range(len(scores) - 1, 0, -1):
        path.append(int(before[i, path[-1]]))
    return path[::-1]
