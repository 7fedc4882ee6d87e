"""Word times by a CTC model in ONNX form: one for 1,600 languages, Meta's MMS aligner, or any wav2vec 2.0 model with an alphabet.

ONNX Runtime runs the model, NumPy the search. Existing alignment libraries do not fit: ctc-forced-aligner 1.0.2
aborts the process when a text is longer than its audio, brings librosa and numba, and has a licence of its own; ctc-segmentation
1.7.5 must be compiled, and ends a word in the middle of the pause after it; the others need torch (easyaligner, forcealign, that of
M. Ashraf) or recognize only (sherpa-onnx, onnx-asr).
"""

import importlib.metadata
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.engines import models, onnx_sessions
from podcast_assets.engines.engine import Engine, runtime
from podcast_assets.engines.model_cache import HubModel
from podcast_assets.speech.aligners.ctc.ctc import Alphabet, CtcAligner, Logits
from podcast_assets.speech.transcribers.onnx_models import external_weights
from podcast_assets.speech.types import Samples

OMNILINGUAL = "csukuangfj/sherpa-onnx-omnilingual-asr-1600-languages-300M-ctc-int8-2025-11-12"
"""Meta's omniASR-CTC-300M: each language in its own script."""
MMS = "onnx-community/mms-300m-1130-forced-aligner-ONNX"
"""The aligner of Meta's MMS: the letters a to z alone (set `romanize` for other scripts), and no commercial use."""
PUBLISHED: Mapping[str, HubModel] = {
    OMNILINGUAL: HubModel(
        OMNILINGUAL,
        ("model.int8.onnx", "tokens.txt"),
        megabytes=365,
        licence="apache-2.0",
        revision="6abf1ece20cd2308bdb7d13cd78ec1c44fa4c094",
    ),
    MMS: HubModel(
        MMS,
        ("onnx/model_int8.onnx", "vocab.json"),
        megabytes=317,
        licence="cc-by-nc-4.0",
        revision="2100fb247d8e43962eef24491597fbeb8b469531",
    ),
}
"""Published models. Both are int8, for CPUs; for a GPU, use a folder with a model in float16 or float32."""

_GRAPHS = ("model.onnx", "model.int8.onnx", "onnx/model.onnx", "onnx/model_fp16.onnx", "onnx/model_int8.onnx")
_VOCABULARIES = ("vocab.json", "tokens.txt")
_BLANKS = ("<blank>", "<blk>", "[PAD]")
_INSTALL = "romanize needs uroman: pip install 'podcast-assets[align]'"


class Ctc(Engine):
    """Settings of the CTC aligner."""

    name: ClassVar[str] = "ctc"
    extra: ClassVar[str | None] = "align"

    model: str = OMNILINGUAL
    """One of `PUBLISHED`, or a folder with a graph (`model.onnx`) from audio to the logits of letters, and with the letters, as
    `vocab.json` or `tokens.txt`."""
    romanize: bool = False
    """Romanize words that the alphabet cannot spell, by uroman."""
    device: Literal["auto", "cpu", "cuda"] = runtime("cpu")
    threads: int = runtime(0, ge=0)
    """CPU threads; 0 leaves the number to ONNX Runtime."""

    def load(self, device: str | None = None) -> CtcAligner:
        """Load the model, downloading it from the Hub if necessary.

        Args:
            device: the GPU that is held for it, such as "cuda:1".

        Raises:
            EngineUnavailable: a package or the model is missing, or the model does not load.
        """
        self.fetch()
        if reason := self.unavailable_reason():
            raise EngineUnavailable(reason)
        graph, vocabulary = self._find_parts()
        assert graph
        assert vocabulary
        session = onnx_sessions.open_session(graph, self.device, held=device, threads=self.threads)
        return CtcAligner(_make_logits(session), read_alphabet(vocabulary), _romanizer() if self.romanize else None)

    def fetch(self) -> None:
        """Implement `Engine.fetch`.

        Raises:
            EngineUnavailable: the model cannot be downloaded.
        """
        for model in self.hub_models():
            models.fetch_model(model)

    def devices(self) -> list[str]:
        """Return every GPU if ONNX Runtime can compute on GPUs."""
        return onnx_sessions.devices(self.device)

    def hub_models(self) -> list[HubModel]:
        """Return the Hub model, unless the model is a folder."""
        return [PUBLISHED[self.model]] if self.model in PUBLISHED else []

    def unavailable_reason(self) -> str | None:
        """Implement `Engine.unavailable_reason`."""
        folder, (graph, vocabulary) = self._find_folder(), self._find_parts()
        if folder is None:
            return None  # a published model that is not downloaded yet
        if not folder.is_dir():
            return f"{self.model} is neither a folder nor a model that ctc knows: {', '.join(PUBLISHED)}"
        missing = [
            part for part, found in (("model.onnx", graph), (" or ".join(_VOCABULARIES), vocabulary)) if not found
        ]
        if missing:
            return f"{folder} is not a complete CTC model: it has no {' and no '.join(missing)}"
        return None

    def model_files(self) -> list[Path]:
        """Return the graph, external weights and vocabulary; empty until a Hub model is downloaded."""
        graph, vocabulary = self._find_parts()
        if not graph or not vocabulary:
            return []
        return [graph, *(graph.parent / name for name in external_weights(graph)), vocabulary]

    def versions(self) -> dict[str, str]:
        """Return the versions of ONNX Runtime, whichever distribution is installed, and of uroman if it is used."""
        versions = super().versions() | {"onnxruntime": onnx_sessions.runtime_version()}
        return versions | ({"uroman": importlib.metadata.version("uroman")} if self.romanize else {})

    def _find_folder(self) -> Path | None:
        if self.model in PUBLISHED:
            return models.find_model(PUBLISHED[self.model])
        return Path(self.model).expanduser()

    def _find_parts(self) -> tuple[Path | None, Path | None]:
        """Return the graph and vocabulary files that exist."""
        folder = self._find_folder()
        graph, vocabulary = (
            next((folder / name for name in names if (folder / name).is_file()), None) if folder else None
            for names in (_GRAPHS, _VOCABULARIES)
        )
        return graph, vocabulary


def _make_logits(session: Any) -> Callable[[Samples], Logits]:
    names = [i.name for i in session.get_inputs()]

    def logits(samples: Samples) -> Logits:
        inputs: dict[str, Any] = {names[0]: normalize(samples)[None]}
        if "attention_mask" in names:
            inputs["attention_mask"] = np.ones((1, len(samples)), np.int64)
        return session.run(None, inputs)[0][0]

    return logits


def normalize(samples: Samples) -> Samples:
    """Normalize to zero mean and unit variance, as wav2vec 2.0 models are trained (`do_normalize` of their feature extractor)."""
    return (samples - samples.mean()) / np.sqrt(samples.var() + np.float32(1e-7))


def read_alphabet(file: Path) -> Alphabet:
    """Read a model's letters from `vocab.json` (letter → column) or `tokens.txt` (one letter or space and its column per line).

    Raises:
        EngineUnavailable: the file has another format, or does not define which column is blank.
    """
    text = file.read_text(encoding="utf-8")
    try:
        if file.suffix == ".json":
            columns = {str(letter): int(column) for letter, column in json.loads(text).items()}
        else:
            lines = (line.rpartition(" ") for line in text.split("\n") if line)
            columns = {letter: int(column) for letter, _, column in lines}
    except (ValueError, AttributeError, TypeError) as error:
        raise EngineUnavailable(f"{file} is not a list of letters: {error}") from error
    # in wav2vec 2.0 and Omnilingual the blank is the first column, whatever its name
    first = [letter for letter, column in columns.items() if column == 0 and letter.startswith("<")]
    blank = next((columns[name] for name in (*_BLANKS, *first, "<pad>") if name in columns), None)
    letters = {letter: column for letter, column in columns.items() if len(letter) == 1}
    if blank is None or not letters:
        raise EngineUnavailable(f"{file} is not the alphabet of a CTC model: it has no blank, or no letters")
    return Alphabet(letters, blank)


def _romanizer() -> Callable[[str], str]:
    try:
        import uroman
    except ImportError as error:
        raise EngineUnavailable(_INSTALL) from error
    table = uroman.Uroman()
    return lambda word: str(table.romanize_string(word))
