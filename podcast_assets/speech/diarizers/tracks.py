"""Diarization of recordings with one track per speaker: who speaks is known, and when is detected on each track."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from podcast_assets.speech import vad
from podcast_assets.speech.diarizers.exclusive import exclusive_turns
from podcast_assets.speech.types import SAMPLE_RATE, Audio, Diarization, Turn

NAME = "tracks"
"""Name in place of an engine's."""
_BLEED = 12.0
"""Level of speech on a track, dB below the loudest speech on another, from which it is that of the other speaker, heard by this
microphone."""
_BLOCK = 512
"""Frames that are measured at a time."""
_FLOOR = 1e-10


@dataclass(frozen=True, slots=True)
class TrackActivity:
    """Speech on a track, per frame of `vad.FRAME` samples."""

    probabilities: npt.NDArray[np.float32]
    """Probability of speech, 0 to 1."""
    levels: npt.NDArray[np.float32]
    """Level in dB."""
    samples: int
    """Length of the track."""


def measure_track(audio: Audio) -> TrackActivity:
    """Measure a track, of which nothing else has to stay in memory."""
    probabilities = vad.speech_probabilities(audio) if len(audio) else np.empty(0, np.float32)
    levels = np.empty(len(probabilities), np.float32)
    for first in range(0, len(levels), _BLOCK):
        count = min(_BLOCK, len(levels) - first)
        samples = audio[first * vad.FRAME : (first + count) * vad.FRAME]
        frames = np.pad(samples, (0, count * vad.FRAME - len(samples))).reshape(count, vad.FRAME)
        levels[first : first + count] = 10 * np.log10(np.square(frames).mean(axis=1) + _FLOOR)
    return TrackActivity(probabilities, levels, len(audio))


def diarize_tracks(tracks: Sequence[TrackActivity]) -> Diarization:
    """Turns of the speakers of some tracks: SPEAKER_00 is that of the first.

    Speech that another track has much louder at the same time is that of the other speaker.
    """
    frames, samples = max(len(t.probabilities) for t in tracks), max(t.samples for t in tracks)
    probabilities = np.stack([_fill(t.probabilities, frames, 0.0) for t in tracks])
    levels = np.stack([_fill(t.levels, frames, -np.inf) for t in tracks])
    loudest = np.where(probabilities >= 0.5, levels, -np.inf).max(axis=0)
    own = np.where(levels >= loudest - _BLEED, probabilities, 0).astype(np.float32)
    full: list[Turn] = []
    activity: dict[str, npt.NDArray[np.float32]] = {}
    for i, speech in enumerate(own):
        speaker = f"SPEAKER_{i:02d}"
        # where several speak at once, the words go to the loudest
        activity[speaker] = (speech * 10 ** (np.maximum(levels[i], -100) / 20)).astype(np.float32)
        full += [Turn(start, end, speaker) for start, end in vad.speech_timestamps(speech, samples)]
    full.sort(key=lambda turn: (turn.start, turn.end))
    return Diarization(exclusive_turns(full, activity, vad.FRAME / SAMPLE_RATE), full)


def _fill(values: npt.NDArray[np.float32], length: int, value: float) -> npt.NDArray[np.float32]:
    return np.pad(values, (0, length - len(values)), constant_values=value)
