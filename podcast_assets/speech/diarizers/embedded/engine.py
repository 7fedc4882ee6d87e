"""Diarization without torch or a download: local speaker segmentation, voice embeddings, clustering.

The steps of pyannote.audio's pipeline (H. Bredin, "pyannote.audio 2.1 speaker diarization pipeline", Interspeech 2023), with the
same segmentation network, but with an embedding for every second of a single voice instead of one per local speaker and window:
a third of the work, and changes of speaker that the segmentation network misses are found.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, model_validator

from podcast_assets.engines import onnx_sessions
from podcast_assets.engines.engine import Engine, runtime
from podcast_assets.speech.diarizers import local_speakers
from podcast_assets.speech.diarizers.embedded import voice_embeddings
from podcast_assets.speech.diarizers.embedded.assignment import assign_speakers
from podcast_assets.speech.diarizers.embedded.clustering import cluster_voices
from podcast_assets.speech.diarizers.frames_result import build_diarization
from podcast_assets.speech.diarizers.local_speakers import FRAME, LocalSpeakers, Stretch
from podcast_assets.speech.diarizers.turns import speaker_bounds
from podcast_assets.speech.types import SAMPLE_RATE, Audio, Diarization, Diarizer

log = logging.getLogger(__name__)

_REPLACED = ("vad_threshold", "min_distance", "min_separation")
"""Settings of the spectral voice prints that this engine had before."""
_JOINED_PAUSE = 0.35
"""Seconds of silence inside a stretch, for which no new embedding begins."""


class EmbeddedDiarizer(Engine):
    """Settings of the diarizer that needs no model download. `benchmarks/diarization.py` compares it with others."""

    name = "embedded"
    packages = ("onnxruntime", "kaldi-native-fbank", "scipy")

    min_speakers: int = Field(1, ge=1)
    max_speakers: int = Field(20, ge=1)
    silence_odds: float = Field(2.0, gt=0)
    """How many times as probable as speech silence has to be. Above 1, because speech that is missed is lost to later stages."""
    window: float = Field(2.0, ge=0.5)
    """Seconds of speech in one voice embedding; windows overlap by half."""
    max_distance: float = Field(0.28, gt=0, lt=2)
    """See `cluster_voices`, also for `max_distance_apart`."""
    max_distance_apart: float = Field(0.15, gt=0, lt=2)
    min_speaker_speech: float = Field(3.0, ge=0)
    """Minimum speech of a speaker in seconds, less in recordings under a minute; the rest is assigned to the nearest speaker."""
    switch_cost: float = Field(0.3, ge=0)
    """See `assign_speakers`."""
    max_gap: float = Field(0.5, ge=0)
    """Pause in seconds up to which one speaker's stretches are one turn."""
    threads: int = runtime(0, ge=0)
    """CPU threads; 0 leaves the number to ONNX Runtime."""

    @model_validator(mode="before")
    @classmethod
    def _without_replaced_settings(cls, given: Any) -> Any:
        found = [key for key in _REPLACED if isinstance(given, dict) and key in given]
        if found:
            log.warning("the diarizer embedded has no setting %s any more: it is ignored", ", ".join(found))
            given = {key: value for key, value in given.items() if key not in _REPLACED}
        return given

    @model_validator(mode="after")
    def _speakers_in_order(self) -> "EmbeddedDiarizer":
        if self.min_speakers > self.max_speakers:
            raise ValueError("min_speakers is more than max_speakers")
        return self

    def load(self, device: str | None = None) -> Diarizer:
        """Load both networks.

        Raises:
            EngineUnavailable: one of them does not load.
        """
        sessions = [
            onnx_sessions.open_session(file, "cpu", threads=self.threads, spin=False) for file in self.model_files()
        ]
        return _EmbeddedWorker(self, *sessions)

    def model_files(self) -> list[Path]:
        """Return the two networks."""
        return [local_speakers.NETWORK, voice_embeddings.NETWORK]


class _EmbeddedWorker:
    thread_safe = True

    def __init__(self, settings: EmbeddedDiarizer, segmentation: Any, voices: Any) -> None:
        self._settings, self._segmentation, self._voices = settings, segmentation, voices

    def diarize(self, audio: Audio, *, min_speakers: int | None = None, max_speakers: int | None = None) -> Diarization:
        """Return turns in order of their start; speakers are SPEAKER_00, SPEAKER_01, ... by first appearance.

        A speaker's embedding is the mean of the voice embeddings nearest to it, float32 of unit length, shape (192,).

        Raises:
            ValueError: `min_speakers` is more than `max_speakers`.
        """
        s = self._settings
        least, most = speaker_bounds((s.min_speakers, s.max_speakers), min_speakers, max_speakers)
        local = local_speakers.find_local_speakers(audio, self._segmentation, s.silence_odds)
        stretches = local.stretches(_JOINED_PAUSE) or list(local.overlaps())
        if not stretches:
            return Diarization([], full=[])
        windows = voice_embeddings.embed_stretches(audio, stretches, s.window, self._voices)
        centres = np.zeros((1, 0), np.float32)
        if len(windows):
            centres = cluster_voices(
                windows.embedding,
                windows.seconds,
                windows.speech(stretches),
                _local_speakers_of(windows, stretches, local),
                min_speakers=least,
                max_speakers=most,
                max_distance=s.max_distance,
                max_distance_apart=s.max_distance_apart,
                min_speech=s.min_speaker_speech,
            )
        assigned = assign_speakers(stretches, windows, centres, s.switch_cost)
        return build_diarization(local, assigned, centres, s.max_gap, len(audio) / SAMPLE_RATE)


def _local_speakers_of(
    windows: voice_embeddings.VoiceWindows, stretches: Sequence[Stretch], local: LocalSpeakers
) -> list[tuple[int, int, int]]:
    """List (embedding, window of the segmentation network, local speaker)."""
    found = []
    for i in range(len(windows)):
        first = stretches[windows.stretch[i]].start
        start, end = (first + round(seconds / FRAME) for seconds in (windows.start[i], windows.end[i]))
        found += [(i, window, speaker) for window, speaker in local.speakers_of(start, max(end, start + 1))]
    return found
