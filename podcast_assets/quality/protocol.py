"""Protocols of scorers and punctuators."""

from collections.abc import Sequence
from typing import Protocol

from podcast_assets.speech.types import Audio

Scores = dict[str, float | None]
"""Names of scores and their values. None where a score does not exist; never NaN or infinite.

A name that is a column of the table `quality_scores` (`dnsmos_ovrl`, `music_share`) fills that column. Any other (`utmos`,
`squim_stoi`) is stored in `more_scores`, and policies that declare it in `scores` can use it like a column.
"""

SIGNAL_SCORES = (
    "dnsmos_sig dnsmos_bak dnsmos_ovrl dnsmos_p808 snr_db clipping_share peak_db rms_db loudness_lufs bandwidth_hz "
    "source_bandwidth_hz speech_share music_share noise_share"
).split()
"""Columns of `quality_scores` that scorers may fill."""


class Scorer(Protocol):
    """Protocol of a scorer: scores how good segments sound.

    To add one, see docs/guides/add-an-engine.md. One whose attribute `thread_safe` is true scores several short episodes at once.
    """

    def score(self, audio: Audio, segments: Sequence[tuple[float, float]]) -> list[Scores]:
        """Score each segment `(start, end)` in seconds, in the same order, with the same keys for all."""
        ...


class Punctuator(Protocol):
    """Protocol of a punctuator: restores punctuation and capitals.

    To add one, see docs/guides/add-an-engine.md.
    """

    def punctuate(self, texts: Sequence[str], languages: Sequence[str | None]) -> list[str | None]:
        """Punctuate each text without changing its words; None if the language (ISO 639-1) is not supported."""
        ...
