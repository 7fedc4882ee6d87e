"""FireRedASR-AED-L for Mandarin, its dialects and English, through sherpa-onnx: the other ONNX library does not support it.

The library gives only text: words have no times and no probabilities (an aligner may add times), and there is no punctuation.
Windows are decoded one by one, as in the library: the published encoder lacks the mask that separates the windows of a batch.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from podcast_assets.engines.model_cache import HubModel
from podcast_assets.speech.transcribers.minibatches import Batcher, WindowInput
from podcast_assets.speech.transcribers.onnx_models import Languages, Quantization
from podcast_assets.speech.transcribers.sherpa import SherpaTranscriber, decode
from podcast_assets.speech.transcribers.tokens import Token, to_words
from podcast_assets.speech.transcribers.window_results import WindowResult
from podcast_assets.speech.types import EpisodeSpeech, Transcriber, TranscriptionResult

if TYPE_CHECKING:
    from sherpa_onnx import OfflineRecognizer

TOKENS_PER_SECOND = 16
"""Most tokens that are decoded per second. With 8, the library's own limit, fast short turns lose their end: half a second has
3 characters."""

_REPO = "csukuangfj/sherpa-onnx-fire-red-asr-large-zh_en-2025-02-16"


def _model_files(quantization: str) -> tuple[str, ...]:
    mark = "" if quantization == "fp32" else f".{quantization}"
    return f"encoder{mark}.onnx", f"decoder{mark}.onnx", "tokens.txt"


class FireRed(SherpaTranscriber):
    """Settings of FireRedASR-AED models in sherpa-onnx's format."""

    name = "firered"
    metadata = "cmvn_inv_stddev"
    published: ClassVar = {(_REPO, "int8"): HubModel(_REPO, _model_files("int8"), 1740, "apache-2.0")}

    model: str = _REPO
    quantization: Quantization = "int8"
    languages: Languages = ("en", "zh")
    chunk_seconds: float = Field(default=30.0, gt=1.0, le=60.0)
    """Longest piece given to the model; at most a minute is recommended for it."""

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
        encoder, decoder, tokens = self.parts
        return _FireRedWorker(
            self, self.recognizer("from_fire_red_asr", encoder=encoder, decoder=decoder, tokens=tokens)
        )


class _FireRedWorker:
    def __init__(self, engine: FireRed, recognizer: "OfflineRecognizer") -> None:
        self._recognizer = recognizer
        self.batcher = Batcher(engine.name, engine.plan, self._recognize_batch, batch_size=1)

    def transcribe(self, work: Iterable[EpisodeSpeech]) -> Iterator[TranscriptionResult]:
        """Implement `Transcriber.transcribe`."""
        return self.batcher.transcribe(work)

    def _recognize_batch(self, key: Hashable, inputs: Sequence[WindowInput]) -> list[WindowResult]:
        results = decode(self._recognizer, [s.content for s in inputs], max_token_per_second=str(TOKENS_PER_SECOND))
        return [WindowResult(to_words(Token(symbol) for symbol in r.tokens)) for r in results]
