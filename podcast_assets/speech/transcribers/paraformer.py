"""Alibaba's Paraformer for Mandarin with some English, through sherpa-onnx: the other ONNX library does not support it.

The library gives the start of each character, if the model has that output, but no probabilities and no punctuation. Two of its
flaws are worked around here: it turns model errors into empty texts, and it reads on into the padding of a batch.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from podcast_assets.engines.engine import runtime
from podcast_assets.engines.model_cache import HubModel
from podcast_assets.speech.transcribers.minibatches import Batcher, WindowInput
from podcast_assets.speech.transcribers.onnx_models import Languages, Quantization, file_contains
from podcast_assets.speech.transcribers.sherpa import SherpaTranscriber, decode
from podcast_assets.speech.transcribers.tokens import Token, insert_spaces, to_words
from podcast_assets.speech.transcribers.window_results import WindowResult
from podcast_assets.speech.types import EpisodeSpeech, Transcriber, TranscriptionResult
from podcast_assets.speech.vad import detect_speech

if TYPE_CHECKING:
    from sherpa_onnx import OfflineRecognizer

LONGEST_TOKEN = 0.24
"""Longest duration of a token in seconds: FunASR's own rule for this model
(`ts_prediction_lfr6_standard`, MAX_TOKEN_DURATION of 12 frames of 20 ms)."""
SPOKEN_SECONDS = 1.0
"""An empty text for a window with more speech than this counts as an error."""

_REPO = "csukuangfj/sherpa-onnx-paraformer-zh-2023-09-14"
_TIMES = "us_cif_peak"
"""Output of models that give the start of each character."""


def _model_files(quantization: str) -> tuple[str, ...]:
    return "model.onnx" if quantization == "fp32" else f"model.{quantization}.onnx", "tokens.txt"


class Paraformer(SherpaTranscriber):
    """Settings of offline Paraformer models in sherpa-onnx's format."""

    name = "paraformer"
    packages = ("sherpa-onnx", "faster-whisper", "onnxruntime")  # the last two for the voice activity detector
    metadata = "lfr_window_size"
    published: ClassVar = {
        (_REPO, "int8"): HubModel(
            _REPO, _model_files("int8"), 243, "apache-2.0", "def027084691107096b5ebba69785756d63de6c5"
        )
    }

    model: str = _REPO
    quantization: Quantization = "int8"
    languages: Languages = ("zh",)
    chunk_seconds: float = Field(default=30.0, gt=1.0, le=60.0)
    batch_size: int = runtime(8, ge=1)
    """Pieces computed together by models that give times; other models compute one at a time."""

    @property
    def parts(self) -> tuple[str, ...]:
        """Implement `OnnxTranscriber.parts`."""
        return _model_files(self.quantization)

    def load(self, device: str | None = None) -> Transcriber:
        """Load the model, downloading it from the Hub if necessary.

        Args:
            device: ignored; the library takes the first GPU or none.

        Raises:
            EngineUnavailable: the package or the model is missing, or the model does not load.
        """
        model, tokens = self.parts
        recognizer = self.recognizer("from_paraformer", paraformer=model, tokens=tokens)
        return _ParaformerWorker(self, recognizer, timed=file_contains(self.folder() / model, _TIMES))


class _ParaformerWorker:
    def __init__(self, engine: Paraformer, recognizer: "OfflineRecognizer", *, timed: bool) -> None:
        self._recognizer = recognizer
        # without times, text from the padding of a batch cannot be detected
        self.batcher = Batcher(engine.name, engine.plan, self._recognize_batch, engine.batch_size if timed else 1)

    def transcribe(self, work: Iterable[EpisodeSpeech]) -> Iterator[TranscriptionResult]:
        """Implement `Transcriber.transcribe`."""
        return self.batcher.transcribe(work)

    def _recognize_batch(self, key: Hashable, inputs: Sequence[WindowInput]) -> list[WindowResult]:
        results = decode(self._recognizer, [s.content for s in inputs])
        if len(inputs) > 1:
            results = [r if r.timestamps else self._recognize_alone(s) for r, s in zip(results, inputs, strict=True)]
        return [_to_window_result(r, s) for r, s in zip(results, inputs, strict=True)]

    def _recognize_alone(self, window: WindowInput) -> Any:
        """Recognize a single window that has no result in its batch, because of an error or of text from the padding."""
        return decode(self._recognizer, [window.content])[0]


def _to_window_result(result: Any, window: WindowInput) -> WindowResult:
    """Convert the library's result of a window.

    Raises:
        RuntimeError: the window has speech, but the result is empty.
    """
    if not result.tokens:
        spoken = sum(end - start for start, end in detect_speech(window.content))
        if spoken > SPOKEN_SECONDS:
            raise RuntimeError(
                f"Paraformer gave no text for {spoken:.1f} s of speech; sherpa-onnx writes the errors of a model to standard error"
            )
    return WindowResult(to_words(time_tokens(result.tokens, result.timestamps, window.seconds)))


def time_tokens(symbols: Sequence[str], starts: Sequence[float], seconds: float) -> list[Token]:
    """Give tokens times: each lasts until the next one starts, `LONGEST_TOKEN` at most.

    Args:
        symbols: tokens as the library returns them.
        starts: start of each symbol in seconds; empty if unknown.
        seconds: length of the window; tokens end there at the latest.
    """
    texts = insert_spaces(symbols)
    if len(starts) != len(symbols):
        return [Token(text) for text in texts]
    nexts = [*starts, seconds][1:]
    return [
        Token(text, min(start, seconds), min(start + LONGEST_TOKEN, after, seconds))
        for text, start, after in zip(texts, starts, nexts, strict=False)
    ]
