"""Dialogues of real voices: clips of clean reading, cut at their pauses and interleaved, so that who speaks when is known exactly.

No clip is used twice in a dialogue. Pauses of a clip are not speech in the reference, so that a diarizer that finds them is right.
"""

import random
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from faster_whisper.audio import decode_audio

from podcast_assets.speech.types import SAMPLE_RATE, Samples, Turn
from podcast_assets.speech.vad import detect_speech

VOICES = {
    "jfk": ("jfk.flac",),
    "sense": ("sense-0870.wav", "sense-0880.wav", "sense-0890.wav"),
    "libri-1088": ("libri-1088-0000.flac",),
    "sonnet-2": ("sonnet-2.mp3",),
    "libri-198": ("libri-198.ogg",),
    "libri-2412": ("libri-2412-0000.flac", "libri-2412-0001.flac"),
    "libri-3436": ("libri-3436.ogg",),
    "libri-5703": ("libri-5703.ogg",),
    "sonnet-1": ("sonnet-1.mp3",),
}
"""Voice → its recordings in the folder of real recordings."""
DEVELOPMENT = ("jfk", "sense", "libri-1088", "sonnet-2")
"""Voices with which settings were chosen."""
REPORTED = ("libri-198", "libri-2412", "libri-3436", "libri-5703", "sonnet-1")
"""Voices with which nothing was chosen: figures are those of dialogues of these."""
PHRASES: dict[str, list[tuple[float, str]]] = tomllib.loads(Path(__file__).with_name("phrases.toml").read_text())
"""Recording → its phrases: the middle of each in seconds, and its words."""
GAPS = (0.6, 0.3, 0.15, -0.2)
"""Seconds between two turns; below 0 they overlap."""
_LONGEST = 5.0
_PAUSE = 0.3
_LEVEL = 0.06
_EDGE = 0.5
_QUIET = _LEVEL / 10
"""Level at an edge of a stretch, 20 dB under the clip's, up to which it is breath: the detector of speech is generous."""
_FRAME = 0.02


@dataclass(frozen=True)
class Clip:
    """A few seconds of one voice."""

    samples: Samples
    speech: tuple[tuple[float, float], ...]
    """Stretches of speech in seconds, without pauses of 0.3 s and more."""
    text: str
    """What is said."""

    @property
    def seconds(self) -> float:
        """Length."""
        return len(self.samples) / SAMPLE_RATE


@dataclass(frozen=True)
class Dialogue:
    """A dialogue with its reference."""

    samples: Samples
    turns: tuple[Turn, ...]
    """Stretches of speech of each voice, which overlap where two speak at once."""
    clips: tuple[tuple[float, str, Clip], ...]
    """Start in seconds, voice and clip."""

    @property
    def text(self) -> str:
        """What is said, in the order in which clips begin."""
        return " ".join(clip.text for _, _, clip in self.clips)


def cut_clips(file: Path) -> Iterator[Clip]:
    """Cut a recording at its pauses into clips of up to 5 s, longer where it has none, all equally loud."""
    samples = np.asarray(decode_audio(str(file), sampling_rate=SAMPLE_RATE), np.float32)
    spoken = detect_speech(samples, threshold=0.4)
    groups: list[list[tuple[float, float]]] = []
    for start, end in spoken:
        if groups and end - groups[-1][0][0] <= _LONGEST:
            groups[-1].append((start, end))
        else:
            groups.append([(start, end)])
    for group in groups:
        first, last = group[0][0], group[-1][1]
        clip = samples[round(first * SAMPLE_RATE) : round(last * SAMPLE_RATE)]
        level = float(np.sqrt(np.mean(clip**2)))
        scaled = np.clip(clip * (_LEVEL / level), -1, 1).astype(np.float32)
        text = " ".join(words for middle, words in PHRASES[file.name] if first <= middle <= last)
        yield Clip(scaled, tuple(_trimmed(scaled, stretch) for stretch in _without_short_pauses(group, first)), text)


def make_dialogue(folder: Path, voices: Sequence[str], gap: float, seed: int) -> Dialogue:
    """Interleave the clips of some voices until only one voice has any left.

    Args:
        folder: the real recordings.
        voices: keys of `VOICES`.
        gap: seconds between two clips; below 0 they overlap, by a third of the shorter one at most.
        seed: of the order of voices and clips.
    """
    chance = random.Random(seed)
    left = {voice: [c for name in VOICES[voice] for c in cut_clips(folder / name)] for voice in voices}
    for clips in left.values():
        chance.shuffle(clips)
    placed: list[tuple[float, str, Clip]] = []
    while others := [v for v in voices if left[v] and (not placed or v != placed[-1][1])]:
        voice = chance.choices(others, [sum(c.seconds for c in left[v]) for v in others])[0]
        clip = left[voice].pop()
        start = _EDGE
        if placed:
            before_start, _, before = placed[-1]
            start = before_start + before.seconds + max(gap, -min(before.seconds, clip.seconds) / 3)
        placed.append((start, voice, clip))
    samples = np.random.default_rng(seed).normal(0, 1e-4, _index(_end(placed) + _EDGE)).astype(np.float32)
    for start, _, clip in placed:
        samples[_index(start) : _index(start) + len(clip.samples)] += clip.samples
    turns = [Turn(start + a, start + b, voice) for start, voice, clip in placed for a, b in clip.speech]
    return Dialogue(samples, tuple(turns), tuple(placed))


def make_dialogues(folder: Path, voices: Sequence[str]) -> Iterator[tuple[str, Dialogue]]:
    """Yield dialogues of two, three and all voices with each of `GAPS`, with their names."""
    for gap in GAPS:
        for seed, count in enumerate(sorted({2, 3, len(voices)})):
            yield f"{count} voices, {gap:+.2f} s", make_dialogue(folder, voices[:count], gap, seed)


def _without_short_pauses(spoken: Sequence[tuple[float, float]], first: float) -> tuple[tuple[float, float], ...]:
    joined: list[tuple[float, float]] = []
    for start, end in spoken:
        if joined and start - first - joined[-1][1] < _PAUSE:
            joined[-1] = joined[-1][0], end - first
        else:
            joined.append((start - first, end - first))
    return tuple(joined)


def _trimmed(samples: Samples, stretch: tuple[float, float]) -> tuple[float, float]:
    """Move the edges of a stretch to where it is loud."""
    spoken = samples[_index(stretch[0]) : _index(stretch[1])]
    frames = spoken[: len(spoken) // _index(_FRAME) * _index(_FRAME)].reshape(-1, _index(_FRAME))
    loud = np.flatnonzero(np.sqrt(np.mean(frames**2, axis=1)) > _QUIET)
    return stretch[0] + float(loud[0]) * _FRAME, stretch[0] + float(loud[-1] + 1) * _FRAME


def _end(placed: Sequence[tuple[float, str, Clip]]) -> float:
    return max(start + clip.seconds for start, _, clip in placed)


def _index(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE)
