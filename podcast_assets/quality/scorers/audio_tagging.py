"""Scorer `audio-tagging`: shares of music and of noise, by a network that tells the classes of AudioSet.

The networks are Zipformers of icefall, published as ONNX graphs: log-mel frames in, one probability per class out. AudioSet and
its classes: Gemmeke et al. 2017, "Audio Set: An ontology and human-labeled dataset for audio events".
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.engines import models, onnx_sessions
from podcast_assets.engines.engine import Engine, runtime
from podcast_assets.engines.model_cache import HubModel, is_folder
from podcast_assets.engines.onnx_sessions import Device
from podcast_assets.quality.protocol import Scores
from podcast_assets.speech.filter_bank import log_mels
from podcast_assets.speech.types import SAMPLE_RATE, Audio, Samples

MUSIC = frozenset(
    {
        "Music",
        "Musical instrument",
        "Singing",
        "Background music",
        "Theme music",
        "Jingle (music)",
        "Soundtrack music",
        "Drum machine",
        "Synthesizer",
    }
)
"""Classes that count as music; those below them in the ontology come with "Music"."""
NOISE = frozenset(
    {
        "Noise",
        "Environmental noise",
        "White noise",
        "Pink noise",
        "Static",
        "Hum",
        "Mains hum",
        "Buzz",
        "Distortion",
        "Wind",
        "Wind noise (microphone)",
        "Rain",
        "Vehicle",
        "Traffic noise, roadway noise",
        "Engine",
        "Mechanical fan",
        "Air conditioning",
        "Crowd",
        "Hubbub, speech noise, speech babble",
        "Chatter",
        "Typing",
        "Cacophony",
        "Rumble",
    }
)
"""Classes that count as noise: what a recording of speech would rather not have."""

_LABELS = "class_labels_indices.csv"


class AudioTagging(Engine):
    """Settings of the scorer `audio-tagging`."""

    name: ClassVar[str] = "audio-tagging"
    packages: ClassVar[tuple[str, ...]] = ("onnxruntime", "kaldi-native-fbank")

    model: str = "k2-fsa/sherpa-onnx-zipformer-small-audio-tagging-2024-04-15"
    """A folder, or a model of the Hugging Face hub ("owner/name") with the same files."""
    quantization: Literal["fp32", "int8"] = "fp32"
    window: float = Field(default=2.0, ge=0.5, le=30.0)
    """Seconds that are judged at once; a shorter segment is one window."""
    hop: float = Field(default=1.0, ge=0.1)
    """Seconds between the beginnings of windows."""
    threshold: float = Field(default=0.3, gt=0.0, lt=1.0)
    """Probability from which a window has music, or noise."""
    device: Device = runtime("auto")
    batch_size: int = runtime(16, ge=1)
    """Windows of the same length that are judged together."""
    threads: int = runtime(2, ge=0)
    """CPU threads; 0 leaves the number to ONNX Runtime."""

    def devices(self) -> list[str]:
        """Return every GPU if the engine computes on one."""
        return onnx_sessions.devices(self.device)

    def hub_models(self) -> list[HubModel]:
        """Return the Hub model, unless the model is a folder."""
        if is_folder(self.model):
            return []
        return [HubModel(self.model, (self._graph, _LABELS), {"fp32": 92, "int8": 27}[self.quantization], "apache-2.0")]

    def fetch(self) -> None:
        """Download the model if it is not on this machine.

        Raises:
            EngineUnavailable: it cannot be downloaded, or its folder lacks files.
        """
        self._ready_files()

    def model_files(self) -> list[Path]:
        """Return the graph and the list of classes; empty until a Hub model is downloaded."""
        folder = Path(self.model).expanduser() if is_folder(self.model) else models.find_model(self.hub_models()[0])
        return [] if folder is None else [f for f in (folder / self._graph, folder / _LABELS) if f.is_file()]

    def load(self, device: str | None = None) -> "AudioTaggingScorer":
        """Load the model.

        Raises:
            EngineUnavailable: the model is missing or does not load, its classes are not those of AudioSet, or the device cannot be
                used.
        """
        graph, labels = self._ready_files()
        session = onnx_sessions.open_session(graph, self.device, held=device, threads=self.threads)
        names = _class_names(labels)
        classes = session.get_outputs()[0].shape[-1]
        if classes != len(names):
            raise EngineUnavailable(f"{graph} has {classes} classes, and {labels} names {len(names)}")
        return AudioTaggingScorer(self, session, names)

    @property
    def _graph(self) -> str:
        return "model.onnx" if self.quantization == "fp32" else "model.int8.onnx"

    def _ready_files(self) -> tuple[Path, Path]:
        if not is_folder(self.model):
            models.fetch_model(self.hub_models()[0])
        files = self.model_files()
        if len(files) < 2:
            missing = {self._graph, _LABELS} - {f.name for f in files}
            raise EngineUnavailable(
                f"{self.model} is not a model for audio-tagging: it has no {' and no '.join(sorted(missing))}"
            )
        return files[0], files[1]


class AudioTaggingScorer:
    """Scores segments of an episode's working audio."""

    def __init__(self, engine: AudioTagging, session: Any, names: Sequence[str]) -> None:
        """Create the scorer.

        Args:
            engine: its settings.
            session: ONNX Runtime session of the network.
            names: names of the network's classes, in order.

        Raises:
            EngineUnavailable: none of the classes is music, or none is noise.
        """
        self._engine, self._session = engine, session
        self._inputs = [i.name for i in session.get_inputs()]
        self._music, self._noise = ([i for i, name in enumerate(names) if name in kind] for kind in (MUSIC, NOISE))
        if not self._music or not self._noise:
            raise EngineUnavailable(f"the classes of {engine.model} are not those of AudioSet")

    def score(self, audio: Audio, segments: Sequence[tuple[float, float]]) -> list[Scores]:
        """Implement `Scorer.score`; None for segments without a whole frame."""
        windows = [
            (number, start, stop)
            for number, (begin, end) in enumerate(segments)
            for start, stop in self._windows(round(begin * SAMPLE_RATE), min(round(end * SAMPLE_RATE), len(audio)))
        ]
        found: list[list[npt.NDArray[np.bool_]]] = [[] for _ in segments]
        windows.sort(key=lambda window: window[2] - window[1])  # a minibatch has windows of one length
        at = 0
        while at < len(windows):
            length = windows[at][2] - windows[at][1]
            same = [w for w in windows[at : at + self._engine.batch_size] if w[2] - w[1] == length]
            probabilities = self._classify([audio[start:stop] for _, start, stop in same])
            for (number, _, _), row in zip(same, probabilities, strict=True):
                highest = np.array([row[self._music].max(), row[self._noise].max()])
                found[number].append(highest >= self._engine.threshold)
            at += len(same)
        return [_shares(judged) for judged in found]

    def _windows(self, start: int, stop: int) -> list[tuple[int, int]]:
        """Cut a segment into windows; the last one ends where it ends. Positions are samples."""
        window, hop = round(self._engine.window * SAMPLE_RATE), round(self._engine.hop * SAMPLE_RATE)
        if stop - start < _FRAME:
            return []
        if stop - start <= window:
            return [(start, stop)]
        starts = [*range(start, stop - window, hop), stop - window]
        return [(s, s + window) for s in starts]

    def _classify(self, windows: Sequence[Samples]) -> npt.NDArray[np.float32]:
        """Return the probability of each class, shape (windows, classes), of windows of one length."""
        # as icefall's models were trained
        features = np.stack([log_mels(samples, snip_edges=False, high_freq=-400.0) for samples in windows])
        lengths = np.full(len(windows), features.shape[1], np.int64)
        values = dict(zip(self._inputs, (features, lengths), strict=True))
        return np.asarray(self._session.run(None, values)[0], np.float32)


_FRAME = round(0.025 * SAMPLE_RATE)


def _class_names(labels: Path) -> list[str]:
    """Read the names of the classes from AudioSet's list: index, machine id, display name."""
    with labels.open(encoding="utf-8", newline="") as file:
        return [row["display_name"] for row in csv.DictReader(file)]


def _shares(judged: Sequence[npt.NDArray[np.bool_]]) -> Scores:
    if not judged:
        return {"music_share": None, "noise_share": None}
    music, noise = np.mean(judged, axis=0)
    return {"music_share": round(float(music), 4), "noise_share": round(float(noise), 4)}
