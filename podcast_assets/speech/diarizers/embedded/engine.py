"""Diarization with nothing to download: Silero's voice activity, spectral voice prints, clustering.

For machines without model hub or torch. It finds clear voices that take turns in one recording; it does not model overlap (every
`Turn.overlap` is 0), and in far-field or telephone-like recordings of similar voices it is hardly better than a single
speaker. Its rows are marked as embedded.
"""

import math
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, model_validator

from podcast_assets.engines.engine import Engine
from podcast_assets.speech import vad
from podcast_assets.speech.diarizers.embedded import voiceprints
from podcast_assets.speech.diarizers.embedded.clustering import cluster_speakers
from podcast_assets.speech.diarizers.embedded.resegmentation import Piece, resegment
from podcast_assets.speech.diarizers.turns import speaker_bounds
from podcast_assets.speech.types import Audio, Diarization, Diarizer, Turn


class EmbeddedDiarizer(Engine):
    """Settings of the diarizer that needs no model download. `benchmarks/diarization.py` compares it with others."""

    name = "embedded"
    packages = ("faster-whisper", "onnxruntime", "scipy", "scikit-learn")
    embedded = True

    min_speakers: int = Field(1, ge=1)
    max_speakers: int = Field(6, ge=1)
    vad_threshold: float = Field(0.3, gt=0, lt=1)
    """Lower than for transcription: far-field voices often stay below 0.5, and missed speech is lost for every later stage."""
    window: float = Field(1.5, gt=0)
    """Seconds of speech in one voice print."""
    min_distance: float = Field(3.75, gt=0)
    """See `cluster_speakers`, also for `min_separation`."""
    min_separation: float = Field(5.5, gt=0)
    min_speaker_speech: float = Field(3.0, ge=0)
    """Least speech of a speaker in seconds; less is assigned to the nearest speaker."""
    switch_cost: float = Field(40.0, ge=0)
    """Least gain in log-likelihood of a change of speaker inside a stretch of speech."""
    max_gap: float = Field(0.5, ge=0)
    """Pause in seconds up to which one speaker's stretches are one turn."""

    @model_validator(mode="after")
    def _speakers_in_order(self) -> "EmbeddedDiarizer":
        if self.min_speakers > self.max_speakers:
            raise ValueError("min_speakers is more than max_speakers")
        return self

    def load(self, device: str | None = None) -> Diarizer:
        """Return the diarizer; its model is loaded with the first episode."""
        return _EmbeddedWorker(self)

    def model_files(self) -> list[Path]:
        """Return the LDA of the voice prints and Silero's network."""
        return [voiceprints.WEIGHTS, vad.model_file()]


class _EmbeddedWorker:
    def __init__(self, settings: EmbeddedDiarizer) -> None:
        self._settings = settings

    def diarize(self, audio: Audio, *, min_speakers: int | None = None, max_speakers: int | None = None) -> Diarization:
        """Return turns in order of their start, never overlapping; speakers are SPEAKER_00, SPEAKER_01, ... by first appearance.

        A speaker's embedding is the mean voice print of its cluster. It is not normalized, because voices are compared by distance,
        not by angle (see `voiceprints`).

        Raises:
            ValueError: `min_speakers` is more than `max_speakers`.
        """
        s = self._settings
        least, most = speaker_bounds((s.min_speakers, s.max_speakers), min_speakers, max_speakers)
        stretches = vad.detect_speech(audio, threshold=s.vad_threshold)
        if not stretches:
            return Diarization([])
        features = voiceprints.extract_frames(audio)
        windows = [w for stretch in stretches for w in split_windows(*stretch, s.window)]
        prints = voiceprints.voiceprints(voiceprints.window_statistics(features, windows))
        labels = cluster_speakers(
            prints,
            min_speakers=least,
            max_speakers=most,
            min_distance=s.min_distance,
            min_separation=s.min_separation,
            min_windows=math.ceil(s.min_speaker_speech / (s.window / 2)),
        )
        first_pass = [(*middle, int(label)) for middle, label in zip(window_middles(windows), labels, strict=True)]
        pieces = resegment(features, stretches, first_pass, switch_cost=s.switch_cost)
        names = speaker_names(pieces)
        means = {name: prints[labels == speaker].mean(axis=0) for speaker, name in names.items()}
        return Diarization(join_turns(pieces, s.max_gap), embeddings=means)


def split_windows(start: float, end: float, length: float) -> list[tuple[float, float]]:
    """Split a stretch into windows that overlap by about half; a short stretch is one window."""
    if end - start <= 1.2 * length:
        return [(start, end)]
    count = math.ceil((end - start - length) / (length / 2)) + 1
    hop = (end - start - length) / (count - 1)
    return [(start + i * hop, start + i * hop + length) for i in range(count)]


def window_middles(windows: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the part of each window that is nearer to its centre than to a neighbour's: overlaps are cut in half."""
    starts = [max(s, (s + windows[i - 1][1]) / 2) if i else s for i, (s, _) in enumerate(windows)]
    ends = [min(e, (e + windows[i + 1][0]) / 2) if i + 1 < len(windows) else e for i, (_, e) in enumerate(windows)]
    return list(zip(starts, ends, strict=True))


def speaker_names(pieces: Sequence[Piece]) -> dict[int, str]:
    """Name speakers SPEAKER_00, SPEAKER_01, ... by first appearance."""
    return {speaker: f"SPEAKER_{n:02d}" for n, speaker in enumerate(dict.fromkeys(speaker for *_, speaker in pieces))}


def join_turns(pieces: Sequence[Piece], max_gap: float) -> list[Turn]:
    """Join neighbouring pieces of one speaker into turns of named speakers."""
    names = speaker_names(pieces)
    turns: list[Turn] = []
    for start, end, speaker in pieces:
        name = names[speaker]
        if turns and turns[-1].speaker == name and start - turns[-1].end <= max_gap:
            turns[-1] = Turn(turns[-1].start, end, name)
        else:
            turns.append(Turn(start, end, name))
    return turns
