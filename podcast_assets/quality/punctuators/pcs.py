"""Punctuator `pcs`: punctuation and capitals in 47 languages by the ONNX models of 1-800-BAD-CODE, or a folder with the same files.

The library `punctuators` (MIT) runs the same models, but needs torch for batches; this engine needs only sentencepiece.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import PositiveInt

from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.engines import models, onnx_sessions
from podcast_assets.engines.engine import Engine, runtime
from podcast_assets.engines.model_cache import HubModel, is_folder
from podcast_assets.engines.onnx_sessions import Device
from podcast_assets.quality.punctuators.punctuation import PieceMarks, apply_marks, has_punctuation, to_plain_text

_FILES = ("config.yaml", "model.onnx", "sp.model")
_REPO = "1-800-BAD-CODE/xlm-roberta_punctuation_fullstop_truecase"
_ACRONYM = "<ACRONYM>"
_WORD = "\u2581"
"""SentencePiece's character for the space before a word."""
OVERLAP = 16
"""Tokens that two windows of a long text share, as in the library."""


class Pcs(Engine):
    """Settings of the punctuator."""

    name: ClassVar[str] = "pcs"
    packages: ClassVar[tuple[str, ...]] = ("sentencepiece", "onnxruntime")
    extra: ClassVar[str | None] = "punctuation"

    model: str = _REPO
    """A folder, or a model of the Hugging Face hub ("owner/name"), with config.yaml, model.onnx and sp.model."""
    device: Device = runtime("auto")
    threads: PositiveInt = runtime(2)
    """CPU threads."""
    batch_tokens: PositiveInt = runtime(4096)
    """Tokens computed at once."""

    def devices(self) -> list[str]:
        """Return every GPU if the engine computes on one."""
        return onnx_sessions.devices(self.device)

    def hub_models(self) -> list[HubModel]:
        """Return the Hub model, unless the model is a folder."""
        if is_folder(self.model):
            return []
        known = self.model == _REPO
        return [HubModel(self.model, _FILES, 1_110 if known else 0, "apache-2.0" if known else "see its page")]

    def fetch(self) -> None:
        """Implement `Engine.fetch`.

        Raises:
            EngineUnavailable: the model cannot be downloaded, or the folder lacks files.
        """
        self.folder()

    def unavailable_reason(self) -> str | None:
        """Return which files a model folder lacks."""
        if not is_folder(self.model):
            return None
        try:
            self.folder()
        except EngineUnavailable as error:
            return str(error)
        return None

    def folder(self) -> Path:
        """Return the model's folder, downloading it if necessary.

        Raises:
            EngineUnavailable: the model cannot be downloaded, or files are missing; the message names them.
        """
        folder = Path(self.model).expanduser() if is_folder(self.model) else models.fetch_model(self.hub_models()[0])
        if missing := [name for name in _FILES if not (folder / name).is_file()]:
            raise EngineUnavailable(
                f"{folder} is not a complete model for {self.name}: it has no {' and no '.join(missing)}"
            )
        return folder

    def model_files(self) -> list[Path]:
        """Return the files of the folder or download; empty until a Hub model is downloaded."""
        folder = Path(self.model).expanduser() if is_folder(self.model) else models.find_model(self.hub_models()[0])
        return [folder / name for name in _FILES if (folder / name).is_file()] if folder else []

    def load(self, device: str | None = None) -> "PcsPunctuator":
        """Load the model, downloading it from the Hub if necessary.

        Raises:
            EngineUnavailable: a package or the model is missing, or the model does not load or is of another kind.
        """
        try:
            from sentencepiece import SentencePieceProcessor
        except ImportError as error:
            raise EngineUnavailable(
                f"the punctuator {self.name} needs sentencepiece: pip install 'podcast-assets[{self.extra}]'"
            ) from error
        folder = self.folder()
        config = PcsConfig.read(folder / "config.yaml")
        try:
            pieces = SentencePieceProcessor(model_file=str(folder / "sp.model"))
        except (OSError, RuntimeError) as error:
            raise EngineUnavailable(f"the model {folder / 'sp.model'} cannot be loaded: {error}") from error
        session = onnx_sessions.open_session(
            folder / "model.onnx", self.device, held=device, threads=self.threads, spin=False
        )
        inputs, outputs = ([x.name for x in found] for found in (session.get_inputs(), session.get_outputs()))
        if inputs != ["input_ids"] or len(outputs) < len(_OUTPUTS):
            raise EngineUnavailable(
                f"the model {folder / 'model.onnx'} takes {', '.join(inputs)} and gives {', '.join(outputs)}: a model for "
                f"{self.name} takes input_ids and gives {', '.join(_OUTPUTS)}"
            )
        return PcsPunctuator(session, pieces, config, self.batch_tokens)


_OUTPUTS = ("marks before", "marks after", "capitals", "ends of sentences")
"""Outputs of such a graph for each token, in this order: [N, T], [N, T], [N, T, letters], [N, T]."""


@dataclass(frozen=True)
class PcsConfig:
    """Contents of a model's config.yaml."""

    longest: int
    """Tokens of a window, including its two end tokens."""
    before: tuple[str, ...]
    """Label → mark before a token; empty for none."""
    after: tuple[str, ...]
    languages: frozenset[str]
    """ISO 639-1 codes."""

    @classmethod
    def read(cls, path: Path) -> "PcsConfig":
        """Read a config.yaml.

        Raises:
            EngineUnavailable: the file cannot be read or lacks a value.
        """
        import yaml

        try:
            content = yaml.safe_load(path.read_text())
            none = content.get("null_token", "<NULL>")
            before, after = (
                tuple("" if x == none else str(x) for x in content[key]) for key in ("pre_labels", "post_labels")
            )
            longest, languages = int(content["max_length"]), frozenset(map(str, content["languages"]))
        except (OSError, yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise EngineUnavailable(f"{path} cannot be read: {type(error).__name__}: {error}") from error
        if longest <= OVERLAP + 2:
            raise EngineUnavailable(f"{path}: max_length is {longest}, and must be more than {OVERLAP + 2}")
        return cls(longest, before, after, languages)


@dataclass(frozen=True, slots=True)
class _Window:
    """Window of a text's tokens, and the part of it whose predictions are used."""

    text: int
    start: int
    end: int
    used: slice
    """Range inside the window."""


class PcsPunctuator:
    """Punctuator with a loaded model."""

    def __init__(self, session: Any, pieces: Any, config: PcsConfig, batch_tokens: int) -> None:
        self._session = session
        self._pieces = pieces
        self._config = config
        self._batch_tokens = batch_tokens

    def punctuate(self, texts: Sequence[str], languages: Sequence[str | None]) -> list[str | None]:
        """Implement `Punctuator.punctuate`. Texts with punctuation stay unchanged."""
        written_texts: list[str | None] = [
            text if language in self._config.languages else None
            for text, language in zip(texts, languages, strict=True)
        ]
        todo = [i for i, text in enumerate(written_texts) if text and text.strip() and not has_punctuation(text)]
        plain_texts = [to_plain_text(texts[i], languages[i]) for i in todo]
        encoded = self._pieces.encode(plain_texts, return_type="offset_mapping") if todo else []
        marked: list[list[PieceMarks]] = [[] for _ in todo]
        for window, found in self._compute_windows([e["ids"] for e in encoded]):
            tokens = encoded[window.text]
            for place in range(*window.used.indices(window.end - window.start)):
                at = window.start + place
                start, end = tokens["offsets"][at]
                predictions = [part[place] for part in found]
                marked[window.text].append(self._to_marks(tokens["pieces"][at], start, end, predictions))
        for i, pieces in zip(todo, marked, strict=True):
            pieces.sort(key=lambda p: p.start)
            written_texts[i] = apply_marks(texts[i], pieces, languages[i])
        return written_texts

    def _compute_windows(self, ids: Sequence[Sequence[int]]) -> list[tuple[_Window, list[npt.NDArray[Any]]]]:
        """Return every window with the predictions for its tokens; windows of similar length are computed together."""
        capacity = self._config.longest - 2
        windows = [w for i, tokens in enumerate(ids) for w in _split_windows(i, len(tokens), capacity)]
        windows.sort(key=lambda w: w.end - w.start)
        done: list[tuple[_Window, list[npt.NDArray[Any]]]] = []
        while windows:
            longest = windows[-1].end - windows[-1].start + 2
            count = max(1, self._batch_tokens // longest)
            batch, windows = windows[-count:], windows[:-count]
            padded = np.full((len(batch), longest), self._pieces.pad_id(), dtype=np.int64)
            for row, w in zip(padded, batch, strict=True):
                tokens = [self._pieces.bos_id(), *ids[w.text][w.start : w.end], self._pieces.eos_id()]
                row[: len(tokens)] = tokens
            outputs = self._session.run(None, {"input_ids": padded})[: len(_OUTPUTS)]
            for row, w in enumerate(batch):
                done.append((w, [np.asarray(part)[row, 1 : w.end - w.start + 1] for part in outputs]))
        return done

    def _to_marks(self, token: str, start: int, end: int, found: Sequence[Any]) -> PieceMarks:
        before, after, capitals, _ = found
        mark = self._config.after[int(after)]
        # the space before a word counts as its first letter
        marked = [bool(x) for x in capitals[len(_WORD) * token.startswith(_WORD) : len(token)]]
        dotted = mark == _ACRONYM
        return PieceMarks(start, end, self._config.before[int(before)], "" if dotted else mark, dotted, marked)


def _split_windows(text: int, tokens: int, capacity: int) -> list[_Window]:
    """Split tokens into windows of at most `capacity`; overlaps are divided equally."""
    starts = range(0, max(1, tokens - OVERLAP), capacity - OVERLAP)
    half = OVERLAP // 2
    return [
        _Window(
            text,
            start,
            min(start + capacity, tokens),
            slice(
                half if start else 0, min(start + capacity, tokens) - start - (half if start + capacity < tokens else 0)
            ),
        )
        for start in starts
    ]
