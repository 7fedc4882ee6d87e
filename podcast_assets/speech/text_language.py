"""Language of a text by itself: py3langid, whose package carries its model."""

from functools import lru_cache
from typing import Any

SHORTEST_CHARACTERS = 20
"""Shorter texts are not looked at: "hello" is Breton to it."""
CERTAIN = 0.9
"""Less is not believed: on sentences of everyday speech the right language mostly has more."""


def text_language(text: str) -> str | None:
    """ISO 639-1 code of the language that a text is in; None where it is too short or not clear."""
    # a Chinese sentence says in ten characters what takes an English one thirty
    if sum(1 if c.isascii() else 3 for c in text) < SHORTEST_CHARACTERS:
        return None
    language, probability = _identifier().classify(text)
    return language if probability >= CERTAIN else None


@lru_cache(maxsize=1)
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
