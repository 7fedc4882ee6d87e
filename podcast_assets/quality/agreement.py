"""Agreement of two transcripts of one recording: word and character error rates per segment.

A publisher's transcript has other boundaries than the segments, often other times (each download may have other advertisements),
and omissions. So whole episodes are aligned by their words, and each word of the reference is assigned to the segment in which it
is spoken.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl
from rapidfuzz.distance import Levenshtein

from podcast_assets.quality.text.spoken_form import spoken_words

KNOWN_SHARE = 0.33
"""Least share of words, of the shorter of the two transcripts, that match in runs of at least `_RUN` if the reference is of this
recording: single words match in any long text."""
_RUN = 3
_NEIGHBOURS = 21
"""Matching words around a position whose times are used to compare the two clocks."""
_NEAR, _AT = 2.0, 0.3
"""Tolerance in seconds around the segment of a word that was recognized differently, or not at all."""

Rates = tuple[float | None, float | None]
_SCHEMA = {
    "segment_id": pl.String,
    "reference_words": pl.Int32,
    "reference_wer": pl.Float64,
    "reference_cer": pl.Float64,
}


def error_rates(recognized: Sequence[str], reference: Sequence[str]) -> Rates:
    """Compute word and character error rate against reference words; None if there are none.

    They are errors divided by the words, or characters without spaces, of the reference, and above 1 if the text is much longer.
    """
    if not reference:
        return None, None
    ours, theirs = "".join(recognized), "".join(reference)
    return (
        Levenshtein.distance(recognized, reference) / len(reference),
        Levenshtein.distance(ours, theirs) / len(theirs),
    )


def transcript_agreement(segments: pl.DataFrame, reference: pl.DataFrame) -> pl.DataFrame:
    """Compare segments with a reference; one row per segment: `segment_id`, `reference_words`, `reference_wer` and `reference_cer`.

    All are null if no reference is in the language of the episode, or it is not of this recording. If the reference has no words
    for a segment, `reference_words` is 0 and the rates are null.

    Args:
        segments: `segment_id`, `start`, `end`, `text` and `language`, in order.
        reference: rows of `podcast_assets.store.schema_beside.REFERENCES`.
    """
    cues, language = _cues_in_main_language(segments, reference)
    recognized = spoken_words(segments["text"].fill_null("").to_list(), segments["language"].to_list())
    words = _assign_words(segments, recognized, cues, language) if cues.height else None
    if words is None:
        rows = [(segment, None, None, None) for segment in segments["segment_id"]]
    else:
        rows = [
            (segment, len(theirs), *error_rates(ours, theirs))
            for segment, ours, theirs in zip(segments["segment_id"], recognized, words, strict=True)
        ]
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


def _cues_in_main_language(segments: pl.DataFrame, reference: pl.DataFrame) -> tuple[pl.DataFrame, str | None]:
    """Return the cues in the language of most segments, or those without a declared language if there are none."""
    common = segments["language"].drop_nulls().mode(maintain_order=True)
    language = common[0] if len(common) else None
    same = reference.filter(pl.col("language") == pl.lit(language, dtype=pl.String))
    return (same if same.height else reference.filter(pl.col("language").is_null())), language


def _assign_words(
    segments: pl.DataFrame, recognized: list[list[str]], cues: pl.DataFrame, language: str | None
) -> list[list[str]] | None:
    """Assign words of the reference to each segment; None if it is not of this recording."""
    spans = segments.select("start", "end").to_numpy()
    ours = [word for words in recognized for word in words]
    owner = np.repeat(np.arange(len(recognized)), [len(words) for words in recognized])
    our_times = _spread_times(recognized, spans)
    cued = spoken_words(cues["text"].fill_null("").to_list(), [language] * cues.height)
    theirs = [word for words in cued for word in words]
    their_times = _spread_times(cued, cues.select("start", "end").to_numpy())
    partner, same, known = _align_words(ours, theirs)
    if not known or known < KNOWN_SHARE * min(len(ours), len(theirs)):
        return None
    times = their_times + _estimate_shift(their_times, our_times, partner, same)
    found: list[list[str]] = [[] for _ in recognized]
    starts = spans[:, 0]
    for word, match, equal, time in zip(theirs, partner, same, times, strict=True):
        segment = int(owner[match]) if match >= 0 else None
        if segment is None or not (equal or _is_inside(time, spans[segment], _NEAR)):
            segment = int(np.searchsorted(starts, time + _AT, side="right")) - 1
            if not _is_inside(time, spans[segment], _AT):  # also for unknown times
                continue
        found[segment].append(word)
    return found


def _align_words(ours: list[str], theirs: list[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_], int]:
    """Return, for each of their words, the index of our matching word (-1 if none) and whether the two are equal.

    The third value is the number of equal words in runs of `_RUN` or more.
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
    """Spread the words of each stretch evenly over its time, in seconds."""
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
    """Estimate the seconds to add to each of their times from the matching words around it.

    NaN where these disagree, because something in between is only in one of the two.
    """
    places = np.flatnonzero(same)
    padded = np.pad(ours[partner[places]] - theirs[places], _NEIGHBOURS // 2, mode="edge")
    apart = np.median(np.lib.stride_tricks.sliding_window_view(padded, _NEIGHBOURS), axis=1)
    after = np.searchsorted(places, np.arange(len(theirs)))
    before, after = np.maximum(after - 1, 0), np.minimum(after, len(places) - 1)
    return np.where(np.abs(apart[after] - apart[before]) <= _NEAR, (apart[before] + apart[after]) / 2, np.nan)


def _is_inside(time: float, span: npt.NDArray[np.float64], slack: float) -> bool:
    return bool(span[0] - slack <= time <= span[1] + slack)
