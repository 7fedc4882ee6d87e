"""Diarization by pyannote.audio: neural segmentation with overlapping speech, speaker embeddings, clustering.

It needs the extra `pyannote` and a model: by default community-1, 33 MB, whose terms must be accepted before the download. Its
weights are pickles; module `pipeline` describes the checks before they are loaded. A GPU is recommended: on one CPU core the
embeddings of a minute take 9 to 16 s (`benchmarks/pyannote_embeddings.py`), and they are most of the work.
"""

import contextlib
import logging
import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from podcast_assets.common.errors import EngineUnavailable, first_line, is_out_of_memory
from podcast_assets.engines import gpus, models
from podcast_assets.engines.engine import Engine, runtime
from podcast_assets.engines.model_cache import HubModel
from podcast_assets.speech.diarizers.pyannote.pipeline import (
    COMMUNITY,
    PipelineSource,
    check_weights,
    find_pipeline,
    import_pyannote,
    pipeline_config,
)
from podcast_assets.speech.diarizers.turns import add_overlap, names_by_appearance, one_at_a_time, speaker_bounds
from podcast_assets.speech.types import SAMPLE_RATE, Audio, Diarization, Diarizer, Turn

if TYPE_CHECKING:
    from pyannote.core import Annotation

log = logging.getLogger(__name__)

CPU_BATCH, GPU_BATCH = 2, 32
"""Windows computed together. On a CPU, more only cost memory; 32 is the default of the published pipeline."""
TOO_FEW_EMBEDDINGS = "should be >= n_clusters="
"""Part of the message of scikit-learn's `KMeans`, to which pyannote.audio's `VBxClustering` passes the minimum of speakers even if
the clip has fewer embeddings."""
BATCH_TOO_LARGE = "batch_size"
"""Part of the message of the `MemoryError` that pyannote.audio's `Inference.infer` raises when a GPU's memory runs out."""


class Pyannote(Engine):
    """Settings of pyannote.audio's speaker diarization. An episode's own bounds override `min_speakers` and `max_speakers`."""

    name: ClassVar[str] = "pyannote"
    packages: ClassVar[tuple[str, ...]] = ("pyannote.audio", "torch")
    extra: ClassVar[str | None] = "pyannote"

    model: str = COMMUNITY.repo
    """A pipeline of the Hugging Face hub ("owner/name"), or the folder of a copy of one."""
    min_speakers: int = Field(default=2, ge=1)
    """Fewest speakers. Set it to 1 if there are monologues: a single voice is split to reach it."""
    max_speakers: int = Field(default=6, ge=1)
    segmentation_step: float | None = Field(default=None, gt=0, le=1)
    """Step from one window to the next as a share of a window (10 s); None is the pipeline's default, 0.1. Time and memory are
    proportional to its inverse."""
    clustering_threshold: float | None = Field(default=None, gt=0, le=2)
    """Largest distance between two voices of one speaker; None is the pipeline's default."""
    max_windows: int = Field(default=10_800, ge=2)
    """Most windows of an episode; longer episodes, by default of more than 3 h, get larger steps. The memory of the clustering
    grows with the square of this number (see `diarize`)."""
    device: Literal["auto", "cpu", "cuda"] = runtime("auto")
    device_index: int | None = runtime(None, ge=0)
    """Index of the GPU; None uses any free one."""
    batch_size: int | None = runtime(None, ge=1)
    """Windows computed together; None is 2 on a CPU and 32 on a GPU. Halved when memory runs out."""
    trusted: bool = runtime(False)
    """Load weights without checking them. Pickles can run any code, so set this only for models that you trust."""

    @model_validator(mode="after")
    def _speakers_in_order(self) -> "Pyannote":
        if self.min_speakers > self.max_speakers:
            raise ValueError("min_speakers is more than max_speakers")
        return self

    def load(self, device: str | None = None) -> Diarizer:
        """Load the pipeline, downloading it from the Hub if necessary.

        Args:
            device: the GPU that is held for it, such as "cuda:1".

        Raises:
            EngineUnavailable: pyannote.audio is not installed, or the model is missing, may run code, or does not load.
        """
        import_pyannote()
        import torch
        from pyannote.audio import Pipeline

        from podcast_assets.speech.diarizers.pyannote.embeddings import share_trunk

        found = self._find_pipeline()
        if missing := [str(file) for file in found.files if not file.is_file()]:
            raise EngineUnavailable(f"{self.model} is incomplete: it has no {' and no '.join(missing)}: copy it again")
        if not self.trusted:
            check_weights(found.weights)
        config = pipeline_config(found, segmentation_step=self.segmentation_step, threshold=self.clustering_threshold)
        place = device or gpus.torch_device(self.device, self.device_index)
        try:
            pipeline: Any = Pipeline.from_pretrained(config)
            pipeline.to(torch.device(place))
        except Exception as error:  # errors of the library, torch and CUDA have no common base
            reason = first_line(error)
            raise EngineUnavailable(f"{self.model} cannot be loaded: {reason}") from error
        worker = _PyannoteWorker(self, pipeline, self.batch_size or (CPU_BATCH if place == "cpu" else GPU_BATCH))
        share_trunk(pipeline._embedding.model_, worker.speakers_per_window)
        return worker

    def fetch(self) -> None:
        """Implement `Engine.fetch`.

        Raises:
            EngineUnavailable: the model cannot be downloaded, or is not a pipeline for diarization.
        """
        self._find_pipeline()

    def devices(self) -> list[str]:
        """Return the GPUs that may be used: that of `device_index`, or any."""
        return gpus.torch_devices(self.device, self.device_index)

    def hub_models(self) -> list[HubModel]:
        """Return the pipeline, unless it is a folder, and the models that its configuration names once it is downloaded."""
        needed: dict[HubModel, Path | None] = {}

        def find(model: HubModel) -> Path | None:
            return needed.setdefault(model, models.find_model(model))

        with contextlib.suppress(EngineUnavailable):  # reported when the model is needed
            find_pipeline(self.model, find)
        return list(needed)

    def model_files(self) -> list[Path]:
        """Return `config.yaml`, the weights and the PLDA; empty until they are downloaded."""
        found = find_pipeline(self.model, models.find_model)
        return found.files if found else []

    def _find_pipeline(self) -> PipelineSource:
        found = find_pipeline(self.model, models.fetch_model)
        assert found is not None
        return found


class _PyannoteWorker:
    """Loaded pipeline. Not thread-safe."""

    def __init__(self, settings: Pyannote, pipeline: Any, batch_size: int) -> None:
        self._settings = settings
        self._pipeline = pipeline
        self._batch_size = batch_size
        self.speakers_per_window = len(pipeline._segmentation.model.specifications.classes)
        """Most speakers that one window can have."""

    def diarize(self, audio: Audio, *, min_speakers: int | None = None, max_speakers: int | None = None) -> Diarization:
        """Implement `Diarizer.diarize`. A speaker with too little speech without overlap has no embedding.

        Memory for 3 h of audio and 6 speakers, measured on a CPU with the miniature pipeline of the tests: 6.4 GB at most, of which
        1.0 GB are the audio, 0.6 GB the libraries, and more than half the clustering and what follows it.

        Raises:
            ValueError: `min_speakers` is more than `max_speakers`.
        """
        import torch

        settings = (self._settings.min_speakers, self._settings.max_speakers)
        low, high = speaker_bounds(settings, min_speakers, max_speakers)
        samples = np.require(audio[:], np.float32, ["C", "W"])  # as torch requires
        if not len(samples):
            return Diarization([], full=[])
        file = {"waveform": torch.from_numpy(samples)[None], "sample_rate": SAMPLE_RATE}
        try:
            output = self._run_halving_batches(file, low, high)
        except Exception as error:
            if low == 1 or TOO_FEW_EMBEDDINGS not in str(error):
                raise
            output = self._run_halving_batches(file, 1, high)
        return to_diarization(output, len(samples) / SAMPLE_RATE)

    def _run_halving_batches(self, file: dict[str, Any], low: int, high: int) -> Any:
        """Run the pipeline; when memory runs out, halve the batch size permanently and repeat."""
        import torch

        while True:
            try:
                return self._run_pipeline(file, low, high)
            except Exception as error:
                if self._batch_size == 1 or not _is_batch_too_large(error):
                    raise
                self._batch_size //= 2
                torch.cuda.empty_cache()
                log.warning("pyannote: out of memory; continuing with %d windows at once", self._batch_size)

    def _run_pipeline(self, file: dict[str, Any], low: int, high: int) -> Any:
        segmentation, share = self._pipeline._segmentation, self._pipeline.segmentation_step
        seconds = file["waveform"].shape[1] / SAMPLE_RATE
        segmentation.step = step_seconds(
            seconds=seconds, window=segmentation.duration, share=share, max_windows=self._settings.max_windows
        )
        self._pipeline.segmentation_batch_size = self._batch_size
        self._pipeline.embedding_batch_size = self._batch_size * self.speakers_per_window
        with warnings.catch_warnings():
            # the result shows both: fewer speakers than requested, or one who never speaks alone
            warnings.filterwarnings("ignore", message=r"\s*The detected number of speakers")
            warnings.filterwarnings("ignore", message="Mean of empty slice|invalid value encountered")
            # caused by the library's search for the shortest audio that its embedding model accepts
            warnings.filterwarnings("ignore", message=r"std\(\): degrees of freedom")
            return self._pipeline(file, min_speakers=low, max_speakers=high)


def _is_batch_too_large(error: Exception) -> bool:
    """Return whether a smaller batch may help: a GPU's memory is full.

    A smaller batch does not help if the machine's memory is full, most of which the clustering uses.
    """
    if isinstance(error, MemoryError):
        return BATCH_TOO_LARGE in str(error)
    return is_out_of_memory(error)


def step_seconds(*, seconds: float, window: float, share: float, max_windows: int) -> float:
    """Return the seconds from one window to the next.

    Args:
        seconds: length of the audio.
        window: length of a window, in seconds; the step is never longer.
        share: step as a share of a window. It is enlarged, to a multiple of 0.1 s, if there would be more than `max_windows`.
        max_windows: most windows.
    """
    needed = math.ceil(10 * (seconds - window) / (max_windows - 1)) / 10
    return min(max(share * window, needed), window)


def to_diarization(output: Any, seconds: float) -> Diarization:
    """Convert a pipeline's output to a `Diarization`.

    Args:
        output: pyannote.audio's `DiarizeOutput`.
        seconds: length of the audio; turns may end in the silence that pads the last window.
    """
    full = _to_turns(output.speaker_diarization, seconds)
    # they may overlap where the library fills pauses inside a speaker's turn
    turns = one_at_a_time(_to_turns(output.exclusive_speaker_diarization, seconds))
    names = names_by_appearance(turns, full)
    embeddings_by_label = dict(zip(output.speaker_diarization.labels(), output.speaker_embeddings, strict=True))
    return Diarization(
        [_rename_speaker(t, names) for t in add_overlap(turns, full)],
        full=[_rename_speaker(t, names) for t in full],
        embeddings={
            name: embeddings_by_label[label].astype(np.float32)
            for label, name in names.items()
            if np.isfinite(embeddings_by_label[label]).all() and embeddings_by_label[label].any()
        },
    )


def _to_turns(annotation: "Annotation", seconds: float) -> list[Turn]:
    turns = [
        Turn(float(stretch.start), min(float(stretch.end), seconds), str(label))
        for label in annotation.labels()
        for stretch in annotation.label_timeline(label)
    ]
    return sorted((t for t in turns if t.end > t.start), key=lambda t: (t.start, t.end))


def _rename_speaker(turn: Turn, names: dict[str, str]) -> Turn:
    return Turn(turn.start, turn.end, names[str(turn.speaker)], turn.overlap)
