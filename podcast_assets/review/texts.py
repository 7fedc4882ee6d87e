"""Corrected texts: words that stay keep their times."""

from collections.abc import Sequence

from podcast_assets.review.items import Word


def align_words(words: Sequence[Word], text: str, start: float, end: float) -> list[Word]:
    """Split a corrected text into words with times.

    Words that stay keep their times and probabilities. New ones share the time of those that they replace, by their length; those
    between two words share the pause.

    Args:
        words: the words so far.
        text: the corrected text.
        start: seconds; start of the segment.
        end: its end.
    """
    raise NotImplementedError
