"""Backchannels that people do repeat, such as "no, no, no, no, no" or はいはいはいはい, and that are not loops of a recognizer."""

import re
from functools import lru_cache

import polars as pl

from podcast_assets.quality.text.phrases import load_phrases
from podcast_assets.speech.text_measures import UNSPACED

SAYABLE_WORDS = 16
"""Repeated words (or characters, in scripts without spaces) from which on even a backchannel counts as a loop."""


def collapse_backchannels(folded: pl.Series) -> pl.Series:
    """Collapse repeated backchannels in folded texts to one occurrence."""
    spaced, unspaced = _run_patterns()
    return pl.Series(folded.name, [unspaced.sub(r"\1", spaced.sub(r"\1", text)) for text in folded], dtype=pl.String)


@lru_cache(maxsize=1)
def _run_patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return patterns of repeated words, and of repeated words in scripts without spaces."""
    words = load_phrases().again
    apart = "|".join(map(re.escape, (w for w in words if not re.search(f"[{UNSPACED}]", w))))
    together = "|".join(map(re.escape, (w for w in words if re.search(f"[{UNSPACED}]", w))))
    return re.compile(rf"(?<!\S)({apart})(?: \1)+(?!\S)"), re.compile(rf"({together})(?: ?\1)+")
