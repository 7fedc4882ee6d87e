"""Text language identification: by a fastText model if one is configured, else by py3langid with its packaged model.

It takes microseconds per text, so it runs whenever transcripts are committed; changing the model transcribes nothing again.
"""

import importlib.metadata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import polars as pl

from podcast_assets.speech.languages import fasttext as fasttext_language
from podcast_assets.store.schema import TRANSCRIPTS, schema

SHORTEST_CHARACTERS = 20
"""Shorter texts are not identified: py3langid takes "hello" for Breton."""
CERTAIN = 0.9
"""Least probability for py3langid: in sentences of everyday speech the right language mostly has more."""
FASTTEXT_CERTAIN = 0.7
"""Least probability for fastText. lid.176.ftz rates digits alone as Romanian with 0.6, and 140 of 145 half sentences higher."""


@dataclass(frozen=True)
class TextLanguageIdentifier:
    """Identifies the language of a text."""

    model: Path | None = None
    """A fastText model; None takes py3langid (97 languages)."""
    certain: float | None = None
    """Least probability of an accepted language; None is the default of the identifier."""

    def check(self) -> None:
        """Check that the identifier can work before hours are spent on earlier stages. Loads no model.

        Raises:
            Misconfigured: the package or the model is missing or invalid; the message is one line that says what to do.
        """
        if self.model:
            fasttext_language.check_model(self.model)

    @property
    def label(self) -> str:
        """Label with the version of the library or the hash of the model."""
        if self.model:
            return f"fastText {self.model.name} (sha256 {fasttext_language.model_hash(self.model)[:12]})"
        return f"py3langid {importlib.metadata.version('py3langid')}"

    def language(self, text: str) -> str | None:
        """Return the ISO 639-1 code (639-3 if there is none) of a text; None if it is too short or unclear."""
        # ten Chinese characters say as much as thirty English ones
        if sum(1 if c.isascii() else 3 for c in text) < SHORTEST_CHARACTERS:
            return None
        if self.model:
            language, probability = fasttext_language.classify(self.model, text)
        else:
            language, probability = _load_identifier().classify(text)
        least = self.certain if self.certain is not None else FASTTEXT_CERTAIN if self.model else CERTAIN
        return language if probability >= least else None


def add_text_language(transcripts: pl.DataFrame, identifier: TextLanguageIdentifier) -> pl.DataFrame:
    """Add the column `text_language` to rows of the stage `transcribe`, as in the table `transcripts`."""
    languages = [identifier.language(text) for text in transcripts["text"].fill_null("")]
    column = pl.Series("text_language", languages, dtype=TRANSCRIPTS["text_language"][0])
    return transcripts.with_columns(column).select(schema(TRANSCRIPTS).names())


@lru_cache(maxsize=1)
def _load_identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
