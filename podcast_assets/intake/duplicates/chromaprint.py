"""Chromaprint fingerprints of recordings and their comparison.

A fingerprint has about eight items of 32 bits per second; each describes the following 2.6 s of sound. The same sound in another
encoding differs in up to four bits of an item, other sound in about half of them. Pure: the storage is in `near`.

Constants of Chromaprint are those of its sources: `fingerprinter_configuration.h` (hop, item), `fingerprint_matcher.cpp` (alignment
by a histogram of offsets, stretches by smoothed bit errors). The others were measured on real speech:
docs/guides/near-duplicates.md
"""

from collections.abc import Iterable
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import numpy.typing as npt

from podcast_assets.common.errors import Misconfigured

Items = npt.NDArray[np.uint32]
"""A fingerprint, shape (n,): one item for every `ITEM_SECONDS`."""

ALGORITHM = 1
"""CHROMAPRINT_ALGORITHM_TEST2, the default, which AcoustID uses."""
ITEM_SECONDS = (4096 - (4096 - 4096 // 3)) / 11_025
"""Seconds between two items: frames of 4096 samples at 11,025 Hz that overlap by two thirds."""

MAX_BIT_ERRORS = 8.0
"""Bits of 32, mean over `_WINDOW`. Opus at 12 kbit/s, shifted by half an item, has 3 to 4; the most similar 5 s of different
recordings had 10.3. Chromaprint's own tool allows 10 over longer stretches."""
_WINDOW = 40
"""Items over which bit errors are smoothed, and minimum length of a stretch: 5 s."""
_MIN_CHANGE = 3.0
"""Bits between successive items, mean over `_WINDOW`, below which sound is not distinctive: silence and hum have 0, white noise up
to 2.3, speech at least 4."""

_ALIGN_SHIFT = 12
"""Items align if their upper 20 bits agree: at worst every sixth item of the same sound, and every 200,000th of other sound.
Chromaprint's 12 bits are too few for hours of sound."""
_MAX_OCCURRENCES = 16
"""Values that occur more often than this in a recording are ignored, because they do not identify a position."""
_MAX_OFFSETS = 64
"""Maximum number of offsets to try, by votes; it bounds the number of inserted parts."""
_MIN_VOTES = 3

ANCHOR_SHARE, MIN_ANCHORS = 64, 256
"""One item in 64 is an anchor, but at least 256; they are chosen by value, so that copies choose the same ones."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """Overlap of two recordings. Only distinctive sound counts: no silence, no steady noise."""

    share: float
    """Share of the first recording, 0 to 1."""
    share_of_other: float
    offset: float
    """Seconds by which the longest common stretch is later in the other recording."""
    seconds: float
    """Length of the common sound in the first recording, s."""


NOTHING = Overlap(0.0, 0.0, 0.0, 0.0)


def load_chromaprint() -> ModuleType:
    """Load Chromaprint through pyacoustid.

    Raises:
        Misconfigured: pyacoustid or the library is not installed.
    """
    try:
        import chromaprint
    except ModuleNotFoundError:
        raise Misconfigured(
            "PODCAST_NEAR_DUPLICATES is set and pyacoustid is not installed: pip install 'podcast-assets[near-duplicates]'"
        ) from None
    except ImportError:
        raise Misconfigured(
            "PODCAST_NEAR_DUPLICATES is set and the library libchromaprint is not on this machine: "
            "apt-get install libchromaprint1"
        ) from None
    return chromaprint


def fingerprint(blocks: Iterable[npt.NDArray[np.int16]], rate: int) -> Items:
    """Compute the fingerprint of a recording; empty below 2.7 s. Chromaprint releases the GIL while it works.

    Args:
        blocks: consecutive blocks of mono samples.
        rate: sample rate, Hz.

    Raises:
        Misconfigured: Chromaprint is not installed.
    """
    chromaprint = load_chromaprint()
    printer = chromaprint.Fingerprinter(ALGORITHM)
    printer.start(rate, 1)
    for block in blocks:
        printer.feed(block.tobytes())
    items, _ = chromaprint.decode_fingerprint(printer.finish())
    return np.array(items, np.uint32)


def anchor_positions(items: Items) -> npt.NDArray[np.intp]:
    """Positions of the anchors, by which similar recordings are found; in order, each value once."""
    _, first = np.unique(items, return_index=True)
    first = first[distinctive_items(items)[first]]
    mixed = mix_items(items[first])
    chosen = np.argsort(mixed, kind="stable")
    count = max(MIN_ANCHORS, int(np.count_nonzero(mixed < 2**32 // ANCHOR_SHARE)))
    return np.sort(first[chosen[:count]])


def mix_items(items: Items) -> Items:
    """Hash each item (Knuth's multiplicative hash), so that the choice of anchors prefers no kind of sound."""
    return items * np.uint32(2_654_435_761)


def distinctive_items(items: Items) -> npt.NDArray[np.bool_]:
    """Mask of the distinctive items: not silence, hum or steady noise."""
    change = np.bitwise_count(items[1:] ^ items[:-1])
    return _moving_mean(np.append(change, change[-1:])) >= _MIN_CHANGE


def compare_fingerprints(one: Items, other: Items) -> Overlap:
    """Measure how much of two recordings is the same; parts may have been inserted, removed or moved.

    Memory and time are linear in the lengths, for at most 64 offsets: half a second for two recordings of 10 h.
    """
    distinct, distinct_other = distinctive_items(one), distinctive_items(other)
    found, found_other = np.zeros(len(one), np.bool_), np.zeros(len(other), np.bool_)
    at, offsets = _matching_positions(one, other, distinct, distinct_other)
    longest, offset = 0, 0
    for _ in range(_MAX_OFFSETS):
        if not len(offsets):
            break
        least = offsets.min()
        counts = np.append(np.bincount(offsets - least), 0)
        # at an offset of half an item the votes are split between two neighbours
        best = int((counts[:-1] + counts[1:]).argmax())
        if counts[best] + counts[best + 1] < _MIN_VOTES:
            break
        shift_of_best = int(least) + best
        pair = (
            (shift_of_best, shift_of_best + 1)
            if counts[best] >= counts[best + 1]
            else (shift_of_best + 1, shift_of_best)
        )
        for shift in pair:
            if not -len(one) < shift < len(other):
                continue
            begin, end = max(0, -shift), min(len(one), len(other) - shift)
            errors = np.bitwise_count(one[begin:end] ^ other[begin + shift : end + shift])
            same = _drop_short_runs(_moving_mean(errors) <= MAX_BIT_ERRORS)
            new = np.count_nonzero(same & ~found[begin:end])
            found[begin:end] |= same
            found_other[begin + shift : end + shift] |= same
            if new > longest:
                longest, offset = new, shift
        left = ~found[at] & ~np.isin(offsets, pair)
        at, offsets = at[left], offsets[left]
    both, both_other = np.count_nonzero(found & distinct), np.count_nonzero(found_other & distinct_other)
    if not both or not both_other:
        return NOTHING
    return Overlap(
        share=float(both / np.count_nonzero(distinct)),
        share_of_other=float(both_other / np.count_nonzero(distinct_other)),
        offset=offset * ITEM_SECONDS,
        seconds=float(both * ITEM_SECONDS),
    )


def _matching_positions(
    one: Items, other: Items, distinct: npt.NDArray[np.bool_], distinct_other: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Positions in the first recording of items that the other has too, and their offsets in the other; one pair per match."""
    positions, positions_other = np.flatnonzero(distinct), np.flatnonzero(distinct_other)
    keys, keys_other = one[positions] >> _ALIGN_SHIFT, other[positions_other] >> _ALIGN_SHIFT
    order = np.argsort(keys_other, kind="stable")
    keys_other, positions_other = keys_other[order], positions_other[order]
    first, last = np.searchsorted(keys_other, keys, "left"), np.searchsorted(keys_other, keys, "right")
    _, inverse, occurrences = np.unique(keys, return_inverse=True, return_counts=True)
    count = np.where((last - first <= _MAX_OCCURRENCES) & (occurrences[inverse] <= _MAX_OCCURRENCES), last - first, 0)
    at = np.repeat(positions, count)
    # index of each match among the matches of its item
    within = np.arange(len(at)) - np.repeat(np.cumsum(count) - count, count)
    return at, positions_other[np.repeat(first, count) + within] - at


def _moving_mean(values: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Mean over a centred `_WINDOW`, shortened at the ends."""
    total = np.concatenate([[0], np.cumsum(values, dtype=np.int64)])
    middle = np.arange(len(values))
    begin, end = np.maximum(middle - _WINDOW // 2, 0), np.minimum(middle + _WINDOW // 2, len(values))
    return (total[end] - total[begin]) / np.maximum(end - begin, 1)


def _drop_short_runs(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Clear runs shorter than `_WINDOW` in a mask."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.view(np.int8), [0]])))
    begin, end = edges[::2], edges[1::2]
    kept = end - begin >= _WINDOW
    steps = np.zeros(len(mask) + 1, np.int8)
    steps[begin[kept]], steps[end[kept]] = 1, -1
    return np.cumsum(steps[:-1]).astype(np.bool_)
