"""Shared base of the transcribers that use sherpa-onnx, whose wheels bundle an ONNX Runtime."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from podcast_assets.common.errors import EngineUnavailable, first_line
from podcast_assets.engines import gpus
from podcast_assets.speech.transcribers.onnx_models import INSTALL, OnnxTranscriber, file_contains
from podcast_assets.speech.types import SAMPLE_RATE, Samples

if TYPE_CHECKING:
    from sherpa_onnx import OfflineRecognizer

_CUDA_LIBRARY = "libonnxruntime_providers_cuda.so"
"""File that only the CUDA wheels contain."""


class SherpaTranscriber(OnnxTranscriber):
    """Settings of a transcriber whose model runs in sherpa-onnx."""

    packages = ("sherpa-onnx",)
    metadata: ClassVar[str]
    """Metadata key that sherpa-onnx requires in the model's first graph: without it, the library ends the process."""

    def devices(self) -> list[str]:
        """Return the first GPU if sherpa-onnx can compute on GPUs: it supports no other."""
        return ["cuda:0"] if self._provider_name() == "cuda" else []

    def recognizer(self, make: str, **files: str) -> "OfflineRecognizer":
        """Create the library's recognizer with its model loaded.

        Args:
            make: name of the factory method of `OfflineRecognizer`.
            files: argument → model file; the first is the graph with the metadata.

        Raises:
            EngineUnavailable: the package or the model is missing, or the model does not load.
        """
        try:
            from sherpa_onnx import OfflineRecognizer
        except ImportError as error:
            raise EngineUnavailable(f"sherpa-onnx cannot be imported ({error}): {INSTALL}") from error
        provider = self._provider_name()
        folder = self.folder()
        paths = {argument: str(folder / name) for argument, name in files.items()}
        graph = folder / next(iter(files.values()))
        if not file_contains(graph, self.metadata):
            raise EngineUnavailable(
                f"{graph} is incomplete or not made for sherpa-onnx: it has no metadata named {self.metadata}"
            )
        try:
            return getattr(OfflineRecognizer, make)(
                **paths, num_threads=self.threads or os.cpu_count() or 1, provider=provider
            )
        except Exception as error:  # the library's errors have no common base
            reason = first_line(error)
            raise EngineUnavailable(f"the model in {folder} cannot be loaded: {reason}") from error

    def _provider_name(self) -> str:
        """Return the execution provider, "cpu" or "cuda".

        Raises:
            EngineUnavailable: the device is set to a GPU, and the installed wheels do not support GPUs.
        """
        if self.device == "cpu":
            return "cpu"
        supported = _supports_gpus()
        if self.device == "cuda" and not supported:
            raise EngineUnavailable(
                "this sherpa-onnx computes on CPUs only: install its CUDA wheels (k2-fsa.github.io/sherpa/onnx/cuda.html), "
                "or set the device to cpu"
            )
        return "cuda" if supported and (self.device == "cuda" or gpus.gpu_count()) else "cpu"


def _supports_gpus() -> bool:
    spec = find_spec("sherpa_onnx")
    return bool(spec and spec.origin and (Path(spec.origin).parent / "lib" / _CUDA_LIBRARY).is_file())


def decode(recognizer: "OfflineRecognizer", windows: list[Samples], **options: str) -> list[Any]:
    """Decode some windows in one call of the library's batch interface.

    Args:
        recognizer: a loaded model.
        windows: samples of each window.
        options: options of each stream.
    """
    streams = []
    for samples in windows:
        stream = recognizer.create_stream()
        for name, value in options.items():
            stream.set_option(name, value)
        stream.accept_waveform(SAMPLE_RATE, samples)
        streams.append(stream)
    recognizer.decode_streams(streams)
    return [stream.result for stream in streams]
