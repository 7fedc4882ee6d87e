"""Applying predicted punctuation and capitals to texts without changing their words."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MARKS = ".?!,;:…。？！，、；：।॥؟،؛።፣፧"  # noqa: RUF001
"""Marks of sentences and clauses."""
_MARK = re.compile(rf"(?<!\d)[{MARKS}]|[{MARKS}](?!\d)")
"""A mark that is not part of a number such as 3.5 or 1,000."""
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
"""Letters of Thai, Lao, Burmese, Khmer, kana and Han, which are written without spaces between words."""
_TURKIC = ("tr", "az")
_DOTLESS, _DOTTED = "\u0131", "\u0130"
"""The small i without a dot, and the capital I with one."""


@dataclass(frozen=True, slots=True)
class PieceMarks:
    """Predicted marks and capitals of one piece of a text."""

    start: int
    end: int
    """Character range in the text, including spaces before the word."""
    before: str = ""
    """Mark before the piece, as ¿."""
    after: str = ""
    """Mark after the piece; used at the end of a word, and anywhere in scripts without spaces between words."""
    dotted: bool = False
    """A full stop goes after every letter: U.S."""
    capitals: Sequence[bool] = ()
    """Whether each letter is a capital. Ignored if the number differs from that of the letters, because the model normalizes them
    differently."""


def has_punctuation(text: str) -> bool:
    """Return whether a text already has punctuation, which is better than a prediction."""
    return _MARK.search(text) is not None


def to_plain_text(text: str, language: str | None) -> str:
    """Convert a text to lower case without changing its length, as punctuation models read it."""
    turkic = text.replace("I", _DOTLESS).replace(_DOTTED, "i") if language in _TURKIC else text
    small = turkic.lower()
    return small if len(small) == len(text) else "".join(x if len(x := c.lower()) == 1 else c for c in turkic)


def apply_marks(text: str, pieces: Sequence[PieceMarks], language: str | None) -> str:
    """Insert marks and capitals into a text. Existing capitals stay, unless the text is all capitals.

    Args:
        text: text without punctuation.
        pieces: its pieces, in order and without overlap.
        language: ISO 639-1 code.
    """
    base = to_plain_text(text, language) if text.isupper() else text
    parts: list[str] = []
    at = 0
    for piece in pieces:
        parts.append(base[at : piece.start])
        at = piece.end
        content = base[piece.start : piece.end]
        letters = content.lstrip()
        parts.append(content[: len(content) - len(letters)])
        if letters:
            if _begins_word(base, piece.end - len(letters)):
                parts.append(piece.before)
            parts += _capitalize_letters(letters, piece, language)
            if not piece.dotted and _ends_word(base, piece.end):
                parts.append(piece.after)
    return "".join([*parts, base[at:]])


def same_words(text: str, other: str) -> bool:
    """Return whether two texts have the same words in the same order, ignoring punctuation and capitals."""
    return _split_words(text) == _split_words(other)


def _split_words(text: str) -> list[str]:
    words = ("".join(c for c in word if _is_said(c)) for word in text.split())
    return [_fold_word(word) for word in words if word]


def _fold_word(word: str) -> str:
    """Remove case; the Turkish dotted and dotless i count as i."""
    return word.casefold().replace(_DOTLESS, "i").replace("\u0307", "")


def _is_said(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMN"


def _capitalize_letters(letters: str, piece: PieceMarks, language: str | None) -> Iterator[str]:
    capitals = piece.capitals if len(piece.capitals) == len(letters) else [False] * len(letters)
    for character, capital in zip(letters, capitals, strict=True):
        letter = _to_upper(character, language) if capital else character
        yield f"{letter}." if piece.dotted and letter.isalpha() else letter


def _begins_word(text: str, at: int) -> bool:
    return at == 0 or text[at - 1].isspace() or _UNSPACED.match(text[at - 1]) is not None


def _ends_word(text: str, at: int) -> bool:
    return at == len(text) or text[at].isspace() or _UNSPACED.match(text[at - 1]) is not None


def _to_upper(character: str, language: str | None) -> str:
    """Convert to upper case if that is one letter: the capital of ß is two."""
    large = _DOTTED if language in _TURKIC and character == "i" else character.upper()
    return large if len(large) == 1 else character
