"""Local speaker segmentation: who speaks when inside windows of ten seconds, by the network pyannote/segmentation-3.0.

A window distinguishes up to three speakers, two of them at once, whose numbers mean nothing outside of it. A. Plaquet and
H. Bredin, "Powerset multi-class cross entropy loss for neural speaker diarization", Interspeech 2023, arXiv:2310.13025.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from podcast_assets.speech.types import SAMPLE_RATE, Audio

NETWORK = Path(__file__).parent / "embedded" / "segmentation.onnx"

STEP = 270
"""Samples from one frame to the next: the strides of the network's convolutions and poolings, 10 x 3 x 3 x 3."""
_SEEN = 991
"""Samples that a frame depends on before the recurrent layers."""
OFFSET = (_SEEN - STEP) / 2 / SAMPLE_RATE
"""Seconds from the start of a window to that of its first frame."""
FRAME = STEP / SAMPLE_RATE
"""Seconds of one frame."""
WINDOW = 10 * SAMPLE_RATE
"""Samples of a window: what the network was trained on."""
FRAMES = 589
"""Frames of a window."""
HOP = 296
"""Frames from one window to the next, about 5 s: a frame is decided by the window in whose middle it lies."""
LOCAL_SPEAKERS = 3
_BATCH = 8

_POWERSET = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]], np.float32)
"""Class of the network → which speakers are active, shape (7, 3)."""
_MIN_SHARED = 0.3
"""Seconds that two windows' speakers must share to be linked."""

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Stretch:
    """Frames in which one speaker speaks alone."""

    start: int
    end: int
    track: int
    """The local speaker, linked from window to window where they overlap; it may contain a change of speaker."""


@dataclass(frozen=True)
class LocalSpeakers:
    """Local speakers of an episode. Frame f lies at `OFFSET` + f * `FRAME` seconds."""

    active: Bools
    """Whether a local speaker is active, shape (windows, FRAMES, LOCAL_SPEAKERS)."""
    probability: npt.NDArray[np.float16]
    """Probability of each local speaker's activity, of the same shape."""
    frames: int
    """Frames of the episode."""
    tracks: Ints
    """Track of each local speaker, shape (windows, LOCAL_SPEAKERS)."""

    def owned(self, window: int) -> tuple[int, int]:
        """Return the first and the last but one frame that a window decides: those nearer to its centre than to another's."""
        first = 0 if window == 0 else window * HOP + (FRAMES - HOP) // 2
        last = self.frames if window == len(self.active) - 1 else (window + 1) * HOP + (FRAMES - HOP) // 2
        return min(first, self.frames), min(last, self.frames)

    def decided(self, window: int) -> Bools:
        """Return who is active in the frames that a window decides, shape (frames, LOCAL_SPEAKERS)."""
        first, last = self.owned(window)
        return self.active[window, first - window * HOP : last - window * HOP]

    def stretches(self, max_pause: float) -> list[Stretch]:
        """Return stretches of a single speaker, joined over pauses up to `max_pause` seconds in which nobody else speaks."""
        joined: list[Stretch] = []
        for start, end, track in sorted(self._solos()):
            before = joined[-1] if joined else None
            if before and before.track == track and (start - before.end) * FRAME <= max_pause:
                joined[-1] = Stretch(before.start, end, track)
            else:
                joined.append(Stretch(start, end, track))
        return joined

    def overlaps(self) -> Iterator[Stretch]:
        """Yield every local speaker's frames in which another one speaks too."""
        for start, end, track in self._runs(alone=False):
            yield Stretch(start, end, track)

    def probability_on(self, stretch: Stretch) -> npt.NDArray[np.float16]:
        """Return the probability that a stretch's local speaker is active, shape (frames,)."""
        window = int(np.clip((stretch.start - (FRAMES - HOP) // 2) // HOP, 0, len(self.active) - 1))
        speaker = int((self.tracks[window] == stretch.track).argmax())
        return self.probability[window, stretch.start - window * HOP : stretch.end - window * HOP, speaker]

    def speakers_of(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield (window, local speaker) for each window that contains the frames: who is active in most of them."""
        first = max(0, -(-(end - FRAMES) // HOP))
        for window in range(first, min(start // HOP, len(self.active) - 1) + 1):
            shares = self.active[window, start - window * HOP : end - window * HOP].mean(axis=0)
            speaker = int(shares.argmax())
            if shares[speaker] > 0.5:
                yield window, speaker

    def _solos(self) -> Iterator[tuple[int, int, int]]:
        return self._runs(alone=True)

    def _runs(self, *, alone: bool) -> Iterator[tuple[int, int, int]]:
        """Yield first frame, end and track of each local speaker's runs in which nobody else speaks, or somebody does."""
        for window in range(len(self.active)):
            decided = self.decided(window)
            number = decided.sum(axis=1)
            chosen = decided & ((number == 1) if alone else (number > 1))[:, None]
            first, _ = self.owned(window)
            for speaker in range(LOCAL_SPEAKERS):
                for start, end in runs(chosen[:, speaker]):
                    yield first + start, first + end, int(self.tracks[window, speaker])


def find_local_speakers(audio: Audio, session: Any, silence_odds: float) -> LocalSpeakers:
    """Run the network over an episode.

    Args:
        audio: the episode; read in slices of a window.
        session: ONNX Runtime session of `NETWORK`.
        silence_odds: how many times as probable as the most probable speakers silence has to be.
    """
    step = HOP * STEP
    windows = max(1, -(-(len(audio) - WINDOW) // step) + 1)
    active = np.empty((windows, FRAMES, LOCAL_SPEAKERS), np.bool_)
    probability = np.empty((windows, FRAMES, LOCAL_SPEAKERS), np.float16)
    silence: npt.NDArray[np.float32] | None = None
    for first in range(0, windows, _BATCH):
        batch = np.zeros((min(_BATCH, windows - first), 1, WINDOW), np.float32)
        for i in range(len(batch)):
            samples = audio[(first + i) * step : (first + i) * step + WINDOW]
            batch[i, 0, : len(samples)] = samples
        if batch.any():
            (scores,) = session.run(None, {"audio": batch})  # natural log probability, (windows, FRAMES, 7)
        else:  # hours of digital silence need the network once
            if silence is None:
                (silence,) = session.run(None, {"audio": batch[:1]})
            scores = np.repeat(np.asarray(silence), len(batch), axis=0)
        probability[first : first + len(batch)] = np.exp(scores) @ _POWERSET
        scores[..., 0] -= np.log(silence_odds)
        active[first : first + len(batch)] = _POWERSET[scores.argmax(axis=-1)] > 0
    frames = max(0, round((len(audio) - _SEEN) / STEP) + 1)
    return LocalSpeakers(active, probability, min(frames, (windows - 1) * HOP + FRAMES), _link_windows(active))


def runs(mask: Bools) -> list[tuple[int, int]]:
    """Return first and end index of each run of True in a mask, shape (n,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _link_windows(active: Bools) -> Ints:
    """Number the local speakers so that those of neighbouring windows share a number where they speak at the same time."""
    from scipy.optimize import linear_sum_assignment

    tracks = np.full(active.shape[::2], -1, np.intp)
    fresh = 0
    for window in range(len(active)):
        if window:
            before, now = active[window - 1, HOP:].astype(np.float32), active[window, : FRAMES - HOP].astype(np.float32)
            shared = before.T @ now
            least = 0.5 * np.minimum(before.sum(axis=0)[:, None], now.sum(axis=0)[None])
            for old, new in zip(*linear_sum_assignment(-shared), strict=True):
                if shared[old, new] * FRAME > _MIN_SHARED and shared[old, new] > least[old, new]:
                    tracks[window, new] = tracks[window - 1, old]
        for speaker in range(LOCAL_SPEAKERS):
            if tracks[window, speaker] < 0:
                tracks[window, speaker] = fresh
                fresh += 1
    return tracks
