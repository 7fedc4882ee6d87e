"""Shared base of the transcribers of ONNX models: model files, languages and windows."""

import math
import mmap
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from podcast_assets.common.errors import BadInput, EngineUnavailable
from podcast_assets.engines import models
from podcast_assets.engines.engine import Engine, runtime
from podcast_assets.engines.model_cache import HubModel, is_folder
from podcast_assets.speech.transcribers.context import CONTEXT_SECONDS, widen_turns
from podcast_assets.speech.transcribers.window_results import PlannedWindow
from podcast_assets.speech.transcribers.windows import Window, cut_turns
from podcast_assets.speech.types import SAMPLE_RATE, EpisodeSpeech

Quantization = Literal["fp32", "int8"]

INSTALL = "pip install 'podcast-assets[onnx]'"
"""Command that installs the missing packages."""
_GRAPH_BYTES = 100_000_000
"""A graph with external weights is smaller; a larger file holds its weights itself."""
_EXTERNAL = re.compile(rb"\x0a\x08location\x12([\x01-\x7f])")
"""Where a graph names a file of weights: key and length of an entry of `TensorProto.external_data` in onnx.proto."""


def _sort_languages(languages: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(set(languages)))


Languages = Annotated[tuple[str, ...], AfterValidator(_sort_languages)]
"""ISO 639-1 codes, in a fixed order."""


class OnnxTranscriber(Engine):
    """Settings of a transcriber whose model is a folder of ONNX files. Engines of particular models derive from it."""

    extra = "onnx"
    published: ClassVar[Mapping[tuple[str, str], HubModel]] = {}
    """(repository, quantization) → the published models."""
    names_language: ClassVar[bool] = True
    """Whether an episode's language must be known; False for models that handle several languages without being told."""

    hears_context: ClassVar[bool] = False
    """Whether context is recognized where turns of two speakers touch (`widen_turns`). Needs word times, to share the words."""

    model: str
    """A folder, or a model of the Hugging Face hub ("owner/name")."""
    quantization: Quantization
    languages: Languages
    """Languages that the model supports. Episodes in other languages are refused."""
    chunk_seconds: float = Field(default=30.0, gt=1.0)
    """Longest piece given to the model; longer turns are cut at pauses."""
    device: Literal["auto", "cpu", "cuda"] = runtime("auto")
    threads: int = runtime(0, ge=0)
    """CPU threads; 0 leaves the number to the library."""

    @property
    def parts(self) -> tuple[str, ...]:
        """Return the names of the files that the library needs, without external weights."""
        raise NotImplementedError

    def hub_models(self) -> list[HubModel]:
        """Return the Hub model, unless the model is a folder."""
        if is_folder(self.model):
            return []
        known = self.published.get((self.model, self.quantization))
        weights = tuple(f"{name}*data" for name in self.parts if name.endswith(".onnx"))
        return [known or HubModel(self.model, (*self.parts, *weights), megabytes=0, licence="see its page")]

    def fetch(self) -> None:
        """Implement `Engine.fetch`.

        Raises:
            EngineUnavailable: the model cannot be downloaded, or the folder lacks files.
        """
        self.folder()

    def folder(self) -> Path:
        """Return the model's folder with all of its files, downloading it if necessary.

        Raises:
            EngineUnavailable: the model cannot be downloaded, or files are missing; the message names them.
        """
        folder = Path(self.model).expanduser() if is_folder(self.model) else models.fetch_model(self.hub_models()[0])
        if not folder.is_dir():
            raise EngineUnavailable(f"there is no folder {folder} to load a model from")
        needed = [*self.parts, *(w for name in self.parts for w in external_weights(folder / name))]
        if missing := [name for name in needed if not (folder / name).is_file()]:
            raise EngineUnavailable(
                f"{folder} is not a complete {self.quantization} model for {self.name}: it has no {' and no '.join(missing)}"
            )
        return folder

    def model_files(self) -> list[Path]:
        """Return the files of the folder or download; empty until a Hub model is downloaded."""
        folder = Path(self.model).expanduser() if is_folder(self.model) else models.find_model(self.hub_models()[0])
        if folder is None:
            return []
        names = [*self.parts, *(w for name in self.parts for w in external_weights(folder / name))]
        return [folder / name for name in names if (folder / name).is_file()]

    def identity(self) -> dict[str, Any]:
        """Return the identity of an engine, with the seconds of context if there is any: it changes the words at edges."""
        return super().identity() | ({"context": CONTEXT_SECONDS} if self.hears_context else {})

    def plan(self, speech: EpisodeSpeech) -> list[PlannedWindow]:
        """Plan one window per piece of a turn. Packing is useless here: these models have no fixed window.

        Windows are batched with others of similar length, because every window of a batch is padded to the longest.

        Raises:
            BadInput: the model does not support the language, or needs a language and none is known.
        """
        heard = widen_turns(speech.turns, speech.around) if self.hears_context else None
        pieces = list(cut_turns(speech.audio, speech.turns, self.chunk_seconds, heard))
        if pieces:
            self._check_language(speech.language)
        windows = [Window((p,)) for p in pieces]
        return [PlannedWindow(w, length_bucket(len(w) / SAMPLE_RATE), speech.language) for w in windows]

    def _check_language(self, language: str | None) -> None:
        known = ", ".join(self.languages)
        if language is None and (self.names_language or len(self.languages) == 1):
            raise BadInput(
                f"the language of the episode must be given or identified first: the model {self.model} supports only {known}"
            )
        if language is not None and language not in self.languages:
            raise BadInput(f"the model {self.model} does not support the language {language}; it supports {known}")


def length_bucket(seconds: float) -> int:
    """Return the power-of-two bucket of a length: up to 1 s, 2 s, 4 s, 8 s, …"""
    return max(0, math.ceil(math.log2(seconds)))


def external_weights(graph: Path) -> list[str]:
    """Return the names of an ONNX graph's external weight files; empty if it has none or does not exist."""
    if graph.suffix != ".onnx" or not graph.is_file() or graph.stat().st_size > _GRAPH_BYTES:
        return []
    content = graph.read_bytes()
    return sorted({content[m.end() : m.end() + m[1][0]].decode(errors="replace") for m in _EXTERNAL.finditer(content)})


def file_contains(file: Path, name: str) -> bool:
    """Return whether a name (of an output, of metadata) is in an ONNX file; searched from the end, where exporters write them."""
    with file.open("rb") as f:
        if not file.stat().st_size:
            return False
        with mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.rfind(name.encode()) >= 0
