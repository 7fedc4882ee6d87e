"""Measures of a transcript's text."""

import re
import zlib
from collections.abc import Iterable

UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
"""Inside of a character class: letters of scripts without spaces between words, where characters are counted instead of words.
Thai, Lao, Burmese, Khmer, kana and Han, by the blocks of Unicode."""
LOOP_RATIO = 2.4
"""Compression ratio above which a text is a loop (Radford et al. 2022, section 4.5)."""
_UNSPACED = re.compile(f"[{UNSPACED}]")


def compression_ratio(text: str) -> float | None:
    """Compute the length of the UTF-8 text over its zlib length, as Whisper does; None for an empty text.

    Natural speech stays under about 2.4; a recognizer that loops goes above (Radford et al., 2022, section 4.5).
    """
    data = text.encode()
    return len(data) / len(zlib.compress(data)) if data else None


def join_texts(texts: Iterable[str]) -> str:
    """Join texts with spaces, except between letters of scripts without spaces."""
    joined = ""
    for text in filter(None, texts):
        close = joined and _UNSPACED.match(joined[-1]) and _UNSPACED.match(text[0])
        joined += text if close or not joined else f" {text}"
    return joined
