"""NVIDIA's Parakeet TDT 0.6B through onnx-asr: English (v2) or 25 European languages (v3), punctuated and capitalized.

onnx-asr rather than sherpa-onnx, because it supports GPUs with the `onnxruntime-gpu` of the package index, where sherpa-onnx needs
wheels from elsewhere, and transcribes recordings for which sherpa-onnx returned nothing (its issue 2258). Word times and
probabilities are the model's own.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, model_validator

from podcast_assets.common.errors import EngineUnavailable, first_line
from podcast_assets.engines import onnx_sessions
from podcast_assets.engines.engine import runtime
from podcast_assets.engines.model_cache import HubModel
from podcast_assets.speech.transcribers.onnx_models import INSTALL, Languages, OnnxTranscriber, Quantization

if TYPE_CHECKING:
    from podcast_assets.speech.transcribers.parakeet.model import ParakeetTranscriber

LANGUAGES = tuple("bg cs da de el en es et fi fr hr hu it lt lv mt nl pl pt ro ru sk sl sv uk".split())
"""Languages of v3, by its model card."""
LONGEST_SECONDS = 300.0
"""The published graphs fail beyond 400 s, the 5000 positions of their attention (issue 131 of onnx-asr)."""

_V2, _V3 = "istupakov/parakeet-tdt-0.6b-v2-onnx", "istupakov/parakeet-tdt-0.6b-v3-onnx"
_V3_REVISION = "8f23f0c03c8761650bdb5b40aaf3e40d2c15f1ce"


def _model_files(quantization: str) -> tuple[str, ...]:
    mark = "" if quantization == "fp32" else f".{quantization}"
    return "config.json", "vocab.txt", f"encoder-model{mark}.onnx", f"decoder_joint-model{mark}.onnx"


def _published_model(repo: str, revision: str | None) -> dict[tuple[str, str], HubModel]:
    sizes = {"fp32": ((*_model_files("fp32"), "encoder-model.onnx.data"), 2550), "int8": (_model_files("int8"), 670)}
    return {
        (repo, quantization): HubModel(repo, files, megabytes, "cc-by-4.0", revision)
        for quantization, (files, megabytes) in sizes.items()
    }


class Parakeet(OnnxTranscriber):
    """Settings of Parakeet TDT models in onnx-asr's format."""

    name = "parakeet"
    packages = ("onnx-asr",)
    published: ClassVar = {**_published_model(_V2, None), **_published_model(_V3, _V3_REVISION)}
    names_language = False
    hears_context = True

    model: str = _V3
    quantization: Quantization = "fp32"
    languages: Languages = ()
    """As for every ONNX model; by default those of v3, or English where the model's name says v2."""
    chunk_seconds: float = Field(default=30.0, gt=1.0, le=LONGEST_SECONDS)
    batch_size: int = runtime(0, ge=0)
    """Pieces computed together; 0 is 32 on GPUs and 4 on CPUs. Halved when memory runs out."""

    @model_validator(mode="before")
    @classmethod
    def _languages_of_the_model(cls, values: Any) -> Any:
        if isinstance(values, dict) and not values.get("languages"):
            known = ("en",) if "-v2" in Path(values.get("model", _V3)).name else LANGUAGES
            return {**values, "languages": known}
        return values

    @property
    def parts(self) -> tuple[str, ...]:
        """Implement `OnnxTranscriber.parts`."""
        return _model_files(self.quantization)

    def devices(self) -> list[str]:
        """Return every GPU if ONNX Runtime can compute on GPUs."""
        return onnx_sessions.devices(self.device)

    def versions(self) -> dict[str, str]:
        """Include the version of ONNX Runtime, whichever distribution is installed."""
        return super().versions() | {"onnxruntime": onnx_sessions.runtime_version()}

    def load(self, device: str | None = None) -> "ParakeetTranscriber":
        """Load the model, downloading it from the Hub if necessary.

        Args:
            device: the GPU that is held for it, such as "cuda:1".

        Raises:
            EngineUnavailable: a package or the model is missing, or the model does not load.
        """
        try:
            from onnx_asr.preprocessors.numpy_preprocessor import NemoPreprocessorNumpy
            from onnx_asr.preprocessors.preprocessor import OnnxPreprocessor

            from podcast_assets.speech.transcribers.parakeet.model import ParakeetModel, ParakeetTranscriber
        except ImportError as error:
            raise EngineUnavailable(f"onnx-asr is not usable here ({error}): {INSTALL}") from error
        on_gpu = onnx_sessions.uses_gpu(self.device)
        session: Any = onnx_sessions.session_arguments(self.device, held=device, threads=self.threads)
        folder = self.folder()
        config, vocabulary, encoder, decoder = (folder / name for name in self.parts)
        files = {"config": config, "vocab": vocabulary, "encoder": encoder, "decoder_joint": decoder}
        try:
            model = ParakeetModel(
                files,
                # on GPUs the graph without an STFT, for which there is no kernel; as onnx-asr chooses
                lambda name: OnnxPreprocessor(f"{name}_conv", session) if on_gpu else NemoPreprocessorNumpy(name),
                session,
            )
        except Exception as error:  # errors of ONNX Runtime have no common base
            reason = first_line(error)
            raise EngineUnavailable(f"the Parakeet model in {folder} cannot be loaded: {reason}") from error
        onnx_sessions.check_providers(model.providers, self.device)
        return ParakeetTranscriber(self, model, self.batch_size or (32 if on_gpu else 4))
