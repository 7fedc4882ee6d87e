"""Diarization by NVIDIA's streaming Sortformer: one network that detects up to four speakers, also where they overlap.

It runs in NeMo, in a separate environment (`requirements-nemo.txt`) and process. It distinguishes at most four speakers: a fifth is
silently assigned to one of the four. It was trained mostly on English.

I. Medennikov et al., "Streaming Sortformer: Speaker Cache-Based Online Speaker Diarization with Arrival-Time Ordering",
Interspeech 2025, arXiv:2507.18446.
"""

import logging
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.engines import models
from podcast_assets.engines.engine import Engine, runtime
from podcast_assets.engines.model_cache import HubModel
from podcast_assets.speech.diarizers.exclusive import exclusive_turns
from podcast_assets.speech.diarizers.sortformer import nemo_process
from podcast_assets.speech.diarizers.sortformer.nemo_process import NemoError, NemoProcess
from podcast_assets.speech.diarizers.turns import names_by_appearance
from podcast_assets.speech.types import SAMPLE_RATE, Audio, Diarization, Diarizer, Pcm, Turn

log = logging.getLogger(__name__)

Latency = Literal["very_high_latency", "high_latency", "low_latency", "ultra_low_latency"]

PUBLISHED = HubModel(
    "nvidia/diar_streaming_sortformer_4spk-v2.1",
    ("diar_streaming_sortformer_4spk-v2.1.nemo",),
    megabytes=471,
    licence="nvidia-open-model-license",
)


@dataclass(frozen=True, slots=True)
class Preset:
    """Streaming parameters in frames of 80 ms, named as in NeMo's `SortformerModules`."""

    chunk_len: int
    """Frames decided at a time."""
    chunk_right_context: int
    """Frames of context after them; with `chunk_len`, they are the latency."""
    fifo_len: int
    """Frames of context before them."""
    spkcache_update_period: int
    """Frames that leave the queue at a time, to update the speaker cache."""
    spkcache_len: int
    """Frames in the speaker cache."""


PRESETS: Mapping[Latency, Preset] = MappingProxyType(
    {
        "very_high_latency": Preset(340, 40, 40, 300, 188),  # 30.4 s
        "high_latency": Preset(124, 1, 124, 124, 188),  # 10.0 s
        "low_latency": Preset(6, 7, 188, 144, 188),  # 1.04 s
        "ultra_low_latency": Preset(3, 1, 188, 144, 188),  # 0.32 s
    }
)
"""NVIDIA's four recommended configurations: the table "Setting up Streaming Configuration" of the card of
nvidia/diar_streaming_sortformer_4spk-v2; the same four, for v2.1, in NeMo Curator's tutorials/audio/callhome_diar/README.md."""


class Sortformer(Engine):
    """Settings of the streaming Sortformer. It cannot use a known number of speakers."""

    name = "sortformer"
    speaker_cap = 4

    model: str = PUBLISHED.repo
    """A streaming Sortformer for four speakers: of the Hugging Face hub ("owner/name"), or a `.nemo` file."""
    latency: Latency = "high_latency"
    """Latency of decisions. A higher one is usually more accurate, and faster because there are fewer steps."""
    python: str | None = runtime(None)
    """Interpreter of NeMo's environment; None is PODCAST_NEMO_PYTHON, or `.nemo/bin/python` in the models folder."""
    device: Literal["auto", "cpu", "cuda"] = runtime("auto")
    device_index: int | None = runtime(None, ge=0)
    """Index of the GPU; None uses any free one."""
    threads: int = runtime(0, ge=0)
    """CPU threads; 0 leaves the number to torch."""

    def load(self, device: str | None = None) -> Diarizer:
        """Start NeMo's process and load the model in it, downloading it from the Hub if necessary.

        Args:
            device: the GPU that is held for it, such as "cuda:1".

        Raises:
            EngineUnavailable: NeMo's environment or the model is missing, or the model does not load or is of another kind.
        """
        file = self._download_model()
        process = NemoProcess(
            self._find_python(),
            {
                "model": str(file),
                "device": device or next(iter(self.devices()), "cuda:0" if self.device == "cuda" else "cpu"),
                "threads": self.threads,
                "streaming": asdict(PRESETS[self.latency]),
            },
        )
        try:
            loaded = process.start()
        except NemoError as error:
            raise EngineUnavailable(f"NeMo cannot load {file}: {error}") from error
        if loaded["speakers"] != self.speaker_cap:
            process.close()
            raise EngineUnavailable(
                f"{file} distinguishes {loaded['speakers']} speakers, but {self.name} needs a model for {self.speaker_cap}: "
                "set another model"
            )
        log.info("%s on %s, %s: %s", file.name, loaded["device"], self.latency, loaded["streaming"])
        return _SortformerWorker(process, loaded["frame"])

    def fetch(self) -> None:
        """Implement `Engine.fetch`.

        Raises:
            EngineUnavailable: the model cannot be downloaded, or the file does not exist.
        """
        self._download_model()

    def unavailable_reason(self) -> str | None:
        """Return what is wrong with NeMo's environment or the model file."""
        try:
            self.versions()
            if self._is_file:
                self._download_model()
        except EngineUnavailable as error:
            return str(error)
        return None

    def devices(self) -> list[str]:
        """Return the GPUs that may be used: that of `device_index`, or any. Asks NeMo's environment; takes seconds."""
        if self.device == "cpu":
            return []
        found = [f"cuda:{i}" for i in range(nemo_process.gpu_count(self._find_python()))]
        return [f"cuda:{self.device_index}"] if found and self.device_index is not None else found

    def hub_models(self) -> list[HubModel]:
        """Return the Hub model, unless the model is a file."""
        if self._is_file:
            return []
        if self.model == PUBLISHED.repo:
            return [PUBLISHED]
        return [HubModel(self.model, ("*.nemo",), megabytes=0, licence="see its page")]

    def model_files(self) -> list[Path]:
        """Return the model file; empty until a Hub model is downloaded."""
        folder = None if self._is_file else models.find_model(self.hub_models()[0])
        found = [Path(self.model).expanduser()] if self._is_file else sorted(folder.glob("*.nemo")) if folder else []
        return [file for file in found if file.is_file()]

    def versions(self) -> dict[str, str]:
        """Return the versions of NeMo and torch in their environment.

        Raises:
            EngineUnavailable: there is no such environment.
        """
        return nemo_process.versions(self._find_python())

    @property
    def _is_file(self) -> bool:
        return self.model.endswith(".nemo") or self.model.startswith((".", "~", "/"))

    def _find_python(self) -> Path:
        return nemo_process.find_interpreter(self.python)

    def _download_model(self) -> Path:
        """Return the model file, downloading it if necessary."""
        if not self._is_file:
            models.fetch_model(self.hub_models()[0])
        files = self.model_files()
        if not files:
            raise EngineUnavailable(f"the Sortformer model {self.model} does not exist")
        if len(files) > 1:
            raise EngineUnavailable(
                f"{self.model} has several .nemo files: set the path of one, {' or '.join(map(str, files))}"
            )
        return files[0]


class _SortformerWorker:
    def __init__(self, process: NemoProcess, frame: float) -> None:
        self._process, self._frame = process, frame

    def diarize(self, audio: Audio, *, min_speakers: int | None = None, max_speakers: int | None = None) -> Diarization:
        """Return turns by NeMo's own thresholds (0.5); speakers are SPEAKER_00, SPEAKER_01, ... by first appearance.

        Raises:
            NemoError: NeMo failed, or its process died.
        """
        if not len(audio):
            return Diarization([], full=[])
        turns, probabilities = self._request_turns(audio)
        seconds = len(audio) / SAMPLE_RATE
        detected = sorted(
            (Turn(start, min(end, seconds), str(index)) for start, end, index in turns if start < min(end, seconds)),
            key=lambda t: (t.start, t.end),
        )
        names = names_by_appearance(detected)
        full = [replace(t, speaker=names[str(t.speaker)]) for t in detected]
        if (min_speakers or 0) > len(names) or (max_speakers is not None and len(names) > max_speakers):
            log.warning(
                "sortformer found %d speakers; expected for the episode: min_speakers %s, max_speakers %s",
                len(names),
                min_speakers,
                max_speakers,
            )
        activity = {name: probabilities[:, int(index)] for index, name in names.items()}
        return Diarization(exclusive_turns(full, activity, self._frame), full=full)

    def _request_turns(self, audio: Audio) -> tuple[list[tuple[float, float, int]], np.ndarray[Any, Any]]:
        """Request NeMo's turns (start, end, index of the speaker) and the probabilities, shape (frames, speakers)."""
        with tempfile.TemporaryDirectory(prefix="podcast-assets-nemo-") as folder:
            sound, probabilities = Path(folder) / "audio.npy", Path(folder) / "probabilities.npy"
            np.save(sound, audio.pcm if isinstance(audio, Pcm) else audio[:])
            reply = self._process.ask({"audio": str(sound), "probabilities": str(probabilities)})
            return reply["turns"], np.load(probabilities)
