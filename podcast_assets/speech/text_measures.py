"""Measures of a transcript's text alone."""

import zlib


def compression_ratio(text: str) -> float | None:
    """Length of the UTF-8 text over its zlib length, as Whisper computes it; None for an empty text.

    Natural speech stays under about 2.4; a recognizer that loops goes above (Radford et al., 2022, section 4.5).
    """
    data = text.encode()
    return len(data) / len(zlib.compress(data)) if data else None
