"""Whisper by mlx-whisper, on the GPU of Apple silicon: word times, about 100 languages."""

import importlib
import json
import platform
import sys
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from podcast_assets.common.errors import BadInput, EngineUnavailable, first_line
from podcast_assets.engines import models
from podcast_assets.engines.engine import Engine
from podcast_assets.engines.model_cache import HubModel, is_folder
from podcast_assets.speech.transcribers.context import widen_turns
from podcast_assets.speech.transcribers.minibatches import Batcher, WindowInput
from podcast_assets.speech.transcribers.window_results import PlannedWindow, WindowResult, weighted_mean
from podcast_assets.speech.transcribers.windows import Window, cut_turns, pack_windows
from podcast_assets.speech.types import Attempt, EpisodeSpeech, Transcriber, TranscriptionResult, Word

WINDOW_SECONDS = 30.0
"""Whisper's window."""
_KNOWN_MODELS = {
    "tiny": ("mlx-community/whisper-tiny-mlx", 75),
    "base": ("mlx-community/whisper-base-mlx", 145),
    "small": ("mlx-community/whisper-small-mlx", 481),
    "medium": ("mlx-community/whisper-medium-mlx", 1_530),
    "large-v3": ("mlx-community/whisper-large-v3-mlx", 3_080),
    "large-v3-turbo": ("mlx-community/whisper-large-v3-turbo", 1_610),
}
"""Short name → repository and approximate download size in megabytes."""
_CONFIG = "config.json"
_WEIGHTS = ("weights.safetensors", "weights.npz")
"""Names of the file of weights; the library takes the first that is there."""
_MULTILINGUAL_VOCABULARY = 51_865
"""Fewest tokens of a multilingual Whisper (`is_multilingual` of the library)."""
_INSTALL = "pip install 'podcast-assets[mlx]'"


class MlxWhisper(Engine):
    """Settings of Whisper models in MLX' format."""

    name: ClassVar[str] = "mlx-whisper"
    packages: ClassVar[tuple[str, ...]] = ("mlx-whisper", "mlx")
    extra: ClassVar[str | None] = "mlx"

    model: str = "large-v3-turbo"
    """A folder, a short name ("small", "large-v3-turbo"), or a model of the Hugging Face hub ("owner/name")."""
    chunk_seconds: float = Field(default=WINDOW_SECONDS, gt=1.0, le=WINDOW_SECONDS)
    """Longest clip given to the model; longer turns are cut at pauses."""
    pack: bool = True
    """Pack turns of one speaker into windows of up to `chunk_seconds`: a window costs the same however short its speech is."""
    timestamps: bool = False
    """Decode with timestamp tokens."""
    temperatures: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    """Tried in turn while a text is repetitive or unlikely."""
    initial_prompt: str | None = None
    """Prompt before every window; hints of an episode are added to it."""
    half_precision: bool = True
    """Compute with float16 rather than float32."""

    def load(self, device: str | None = None) -> Transcriber:
        """Load the model, downloading it from the Hub if necessary.

        Raises:
            EngineUnavailable: the package or the model is missing, or this is no Mac with Apple silicon.
        """
        try:
            core = importlib.import_module("mlx.core")
            library = importlib.import_module("mlx_whisper")
            holder = importlib.import_module("mlx_whisper.transcribe").ModelHolder
        except ImportError as error:
            raise EngineUnavailable(
                f"mlx-whisper cannot be imported ({error}): on a Mac with Apple silicon, {_INSTALL}"
            ) from error
        folder = self._ready_folder()
        try:
            # `transcribe` takes it from there, and keeps it
            holder.get_model(str(folder), core.float16 if self.half_precision else core.float32)
        except Exception as error:  # the library's errors have no common base
            raise EngineUnavailable(f"the model in {folder} cannot be loaded: {first_line(error)}") from error
        return MlxWhisperTranscriber(self, folder, library.transcribe)

    def hub_models(self) -> list[HubModel]:
        """Return the Hub model, unless the model is a folder.

        Raises:
            EngineUnavailable: the model is not a folder, short name or Hub name.
        """
        if is_folder(self.model):
            return []
        if "/" not in self.model and self.model not in _KNOWN_MODELS:
            raise EngineUnavailable(
                f"{self.model!r} is neither a folder, a model of the hub (owner/name), nor one of {', '.join(_KNOWN_MODELS)}"
            )
        repo, megabytes = _KNOWN_MODELS.get(self.model, (self.model, 0))
        return [HubModel(repo, (_CONFIG, "weights.*"), megabytes, "mit")]

    def unavailable_reason(self) -> str | None:
        """Say that this is no Mac with Apple silicon."""
        if sys.platform != "darwin" or platform.machine() != "arm64":
            return "mlx-whisper computes on Macs with Apple silicon only"
        return None

    def fetch(self) -> None:
        """Download a Hub model that is not on this machine.

        Raises:
            EngineUnavailable: it cannot be downloaded, or its folder is incomplete.
        """
        self._ready_folder()

    def model_files(self) -> list[Path]:
        """Return the configuration and the weights; empty until a Hub model is downloaded."""
        folder = Path(self.model).expanduser() if is_folder(self.model) else models.find_model(self.hub_models()[0])
        if folder is None:
            return []
        return [f for f in (folder / name for name in (_CONFIG, *_WEIGHTS)) if f.is_file()][:2]

    def _ready_folder(self) -> Path:
        folder = Path(self.model).expanduser() if is_folder(self.model) else models.fetch_model(self.hub_models()[0])
        found = [file.name for file in self.model_files()]
        if found[:1] != [_CONFIG] or len(found) < 2:
            raise EngineUnavailable(
                f"{folder} is not a Whisper model in MLX' format: it needs {_CONFIG}, and {' or '.join(_WEIGHTS)}"
            )
        return folder


class MlxWhisperTranscriber:
    """Transcriber with a loaded model. Windows are decoded one by one, as in the library."""

    def __init__(self, engine: MlxWhisper, folder: Path, decode: Callable[..., Mapping[str, Any]]) -> None:
        """Create the transcriber.

        Args:
            engine: its settings.
            folder: of the model.
            decode: the library's `transcribe`.
        """
        self._engine, self._folder, self._decode = engine, folder, decode
        vocabulary = json.loads((folder / _CONFIG).read_text()).get("n_vocab", _MULTILINGUAL_VOCABULARY)
        self._is_multilingual = vocabulary >= _MULTILINGUAL_VOCABULARY
        others: tuple[Attempt, ...] = ("pauses",) if engine.timestamps else ("timestamps", "pauses")
        self.attempts: tuple[Attempt, ...] = ("alone", *others) if engine.pack else others
        """What may help where a turn is not transcribed well."""
        self.batcher = Batcher(engine.name, self._plan_windows, self._recognize_batch, batch_size=1)

    def transcribe(self, work: Iterable[EpisodeSpeech]) -> Iterator[TranscriptionResult]:
        """Implement `Transcriber.transcribe`. The language must be known."""
        return self.batcher.transcribe(work)

    def _plan_windows(self, speech: EpisodeSpeech) -> list[PlannedWindow]:
        engine = self._engine
        heard = widen_turns(speech.turns, speech.around)
        pieces = list(cut_turns(speech.audio, speech.turns, engine.chunk_seconds, heard))
        if not pieces:
            return []
        if speech.language is None:
            raise BadInput("mlx-whisper needs the language of the episode: it must be given or identified first")
        if speech.language != "en" and not self._is_multilingual:
            raise BadInput(f"the Whisper model {engine.model!r} does not support the language {speech.language!r}")
        windows = (
            pack_windows(pieces, speech.turns, engine.chunk_seconds)
            if engine.pack
            else [Window((piece,)) for piece in pieces]
        )
        return [PlannedWindow(window, language=speech.language) for window in windows]

    def _recognize_batch(self, key: Hashable, inputs: Sequence[WindowInput]) -> list[WindowResult]:
        return [self._recognize(window) for window in inputs]

    def _recognize(self, window: WindowInput) -> WindowResult:
        engine = self._engine
        timestamps = engine.timestamps if window.timestamps is None else window.timestamps
        prompt = " ".join(filter(None, (engine.initial_prompt, window.hints)))
        found = self._decode(
            window.content,
            path_or_hf_repo=str(self._folder),
            language=window.language,
            temperature=engine.temperatures,
            initial_prompt=prompt or None,
            condition_on_previous_text=False,
            word_timestamps=True,
            without_timestamps=not timestamps,
            fp16=engine.half_precision,
        )
        segments = found["segments"]
        lengths = [max(s["end"] - s["start"], 0.0) for s in segments]

        def mean(figure: str) -> float | None:
            return weighted_mean([(s[figure], length) for s, length in zip(segments, lengths, strict=True)])

        return WindowResult(
            words=[word for segment in segments for word in _words_of(segment)],
            avg_logprob=mean("avg_logprob"),
            no_speech_prob=mean("no_speech_prob"),
            temperature=max((s["temperature"] for s in segments), default=None),
        )


def _words_of(segment: Mapping[str, Any]) -> Iterator[Word]:
    """Yield the words of a segment; one whose words have no times is one word without."""
    if segment.get("words"):
        for w in segment["words"]:
            yield Word(w["word"], float(w["start"]), float(w["end"]), float(w["probability"]))
    elif text := segment["text"].strip():
        yield Word(f" {text}", None, None, None)
