"""Agreement of two transcripts of one recording: word and character error rates per segment.

A publisher's transcript has other boundaries than our segments, often other times (advertisements are put in anew for each
download), and leaves things out. So all of an episode is aligned by its words, and each word of the reference goes to the segment
where it was heard.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl
from rapidfuzz.distance import Levenshtein

from podcast_assets.quality.text.spoken_form import spoken_words

KNOWN_SHARE = 0.33
"""Share of the words, of ours or of the reference's where those are fewer, that must be the same in runs of `_RUN` or more for
it to be of this recording: single words are found in any long text."""
_RUN = 3
_NEIGHBOURS = 21
"""Words that both have, by whose times the two clocks are compared around a place."""
_NEAR, _AT = 2.0, 0.3
"""Seconds by which a word that was heard differently, or not at all, may lie outside of the segment that it goes to."""

Rates = tuple[float | None, float | None]
_SCHEMA = {
    "segment_id": pl.String,
    "reference_words": pl.Int32,
    "reference_wer": pl.Float64,
    "reference_cer": pl.Float64,
}


def error_rates(said: Sequence[str], reference: Sequence[str]) -> Rates:
    """Compute word and character error rate against reference words; None if there are none.

    Errors over words, or characters, of the reference: above 1 where far more was written than was said. Spaces are no characters.
    """
    if not reference:
        return None, None
    ours, theirs = "".join(said), "".join(reference)
    return (
        Levenshtein.distance(said, reference) / len(reference),
        Levenshtein.distance(ours, theirs) / len(theirs),
    )


def transcript_agreement(segments: pl.DataFrame, reference: pl.DataFrame) -> pl.DataFrame:
    """Compare segments with a reference; one row per segment: `segment_id`, `reference_words`, `reference_wer` and `reference_cer`.

    All null where no reference is in the language of the episode, or it is not of this recording. Where it is, and has no word at a
    segment, `reference_words` is 0 and the rates are null.

    Args:
        segments: `segment_id`, `start`, `end`, `text` and `language`, in order.
        reference: rows of `podcast_assets.store.schema_beside.REFERENCES`.
    """
    cues, language = _cues_in_main_language(segments, reference)
    said = spoken_words(segments["text"].fill_null("").to_list(), segments["language"].to_list())
    words = _assign_words(segments, said, cues, language) if cues.height else None
    if words is None:
        rows = [(segment, None, None, None) for segment in segments["segment_id"]]
    else:
        rows = [
            (segment, len(theirs), *error_rates(ours, theirs))
            for segment, ours, theirs in zip(segments["segment_id"], said, words, strict=True)
        ]
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


def _cues_in_main_language(segments: pl.DataFrame, reference: pl.DataFrame) -> tuple[pl.DataFrame, str | None]:
    """The cues in the language that most of the segments are in; of no declared language if there are none."""
    common = segments["language"].drop_nulls().mode(maintain_order=True)
    language = common[0] if len(common) else None
    same = reference.filter(pl.col("language") == pl.lit(language, dtype=pl.String))
    return (same if same.height else reference.filter(pl.col("language").is_null())), language


def _assign_words(
    segments: pl.DataFrame, said: list[list[str]], cues: pl.DataFrame, language: str | None
) -> list[list[str]] | None:
    """Words of the reference that go to each segment; None if it is not of this recording."""
    spans = segments.select("start", "end").to_numpy()
    ours = [word for words in said for word in words]
    owner = np.repeat(np.arange(len(said)), [len(words) for words in said])
    our_times = _spread_times(said, spans)
    cued = spoken_words(cues["text"].fill_null("").to_list(), [language] * cues.height)
    theirs = [word for words in cued for word in words]
    their_times = _spread_times(cued, cues.select("start", "end").to_numpy())
    partner, same, known = _align_words(ours, theirs)
    if not known or known < KNOWN_SHARE * min(len(ours), len(theirs)):
        return None
    times = their_times + _estimate_shift(their_times, our_times, partner, same)
    found: list[list[str]] = [[] for _ in said]
    starts = spans[:, 0]
    for word, heard, equal, time in zip(theirs, partner, same, times, strict=True):
        segment = int(owner[heard]) if heard >= 0 else None
        if segment is None or not (equal or _is_inside(time, spans[segment], _NEAR)):
            segment = int(np.searchsorted(starts, time + _AT, side="right")) - 1
            if not _is_inside(time, spans[segment], _AT):  # nor is it for a time that is not known
                continue
        found[segment].append(word)
    return found


def _align_words(ours: list[str], theirs: list[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_], int]:
    """Of each of their words: the place of ours that stands for it, -1 if none does, and whether the two are equal.

    And how many words are equal in runs of `_RUN` or more.
    """
    partner, same, known = np.full(len(theirs), -1), np.zeros(len(theirs), bool), 0
    for step in Levenshtein.opcodes(ours, theirs):
        if step.tag in ("equal", "replace"):
            partner[step.dest_start : step.dest_end] = np.arange(step.src_start, step.src_end)
            same[step.dest_start : step.dest_end] = step.tag == "equal"
        if step.tag == "equal" and step.dest_end - step.dest_start >= _RUN:
            known += step.dest_end - step.dest_start
    return partner, same, known


def _spread_times(words: list[list[str]], spans: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """When each word is said, s: evenly within its stretch."""
    return np.array(
        [
            start + (end - start) * (n + 0.5) / len(some)
            for some, (start, end) in zip(words, spans, strict=True)
            for n in range(len(some))
        ]
    )


def _estimate_shift(
    theirs: npt.NDArray[np.float64],
    ours: npt.NDArray[np.float64],
    partner: npt.NDArray[np.int64],
    same: npt.NDArray[np.bool_],
) -> npt.NDArray[np.float64]:
    """Seconds to add to each of their times, by the words around it that both have.

    Not a number where these tell of two clocks: something lies between that only one of the two has.
    """
    places = np.flatnonzero(same)
    padded = np.pad(ours[partner[places]] - theirs[places], _NEIGHBOURS // 2, mode="edge")
    apart = np.median(np.lib.stride_tricks.sliding_window_view(padded, _NEIGHBOURS), axis=1)
    after = np.searchsorted(places, np.arange(len(theirs)))
    before, after = np.maximum(after - 1, 0), np.minimum(after, len(places) - 1)
    return np.where(np.abs(apart[after] - apart[before]) <= _NEAR, (apart[before] + apart[after]) / 2, np.nan)


def _is_inside(time: float, span: npt.NDArray[np.float64], slack: float) -> bool:
    return bool(span[0] - slack <= time <= span[1] + slack)
