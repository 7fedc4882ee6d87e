"""Chromaprint fingerprints of recordings and their comparison.

A fingerprint has about eight items a second, of 32 bits each; each is of the 2.6 s of sound that follow. The same sound encoded
again differs in up to four bits of an item, other sound in about half of them. Pure: what is kept where is in `near_duplicates`.

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
"""A fingerprint: shape (n,), an item for every `ITEM_SECONDS`."""

ALGORITHM = 1
"""CHROMAPRINT_ALGORITHM_TEST2, the library's default, which AcoustID uses."""
ITEM_SECONDS = (4096 - (4096 - 4096 // 3)) / 11_025
"""Between two items: frames of 4096 samples at 11,025 Hz, which overlap by all but a third."""

MAX_BIT_ERRORS = 8.0
"""Of 32 bits, in the mean over `_WINDOW`: Opus of 12 kbit/s, begun half an item later, has 3 to 4; the most alike 5 s of different
recordings had 10.3. The library's own tool takes 10 over longer stretches."""
_WINDOW = 40
"""Items over which bit errors are smoothed, and that a stretch has at least: 5 s."""
_LEAST_CHANGE = 3.0
"""Bits between successive items, in the mean over `_WINDOW`, below which there is nothing to know a recording by: silence and a hum
have 0, white noise up to 2.3, speech at least 4."""

_ALIGN_SHIFT = 12
"""Items align that agree in their upper 20 bits: every sixth of the same sound in the worst case, every 200,000th of others. The
library's 12 bits are too few for hours of sound."""
_MOST_OCCURRENCES = 16
"""Values that come more often than this in a recording say nothing of where in it they are."""
_MOST_OFFSETS = 64
"""Offsets that are looked at, the most promising first: as many inserted parts."""
_LEAST_VOTES = 3

ANCHOR_SHARE, LEAST_ANCHORS = 64, 256
"""One item in so many is an anchor, chosen by its value so that both copies choose the same; of short recordings more are."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """Overlap of two recordings. Only sound that a recording can be known by counts: no silence, no steady noise."""

    share: float
    """Of the first one, 0 to 1."""
    share_of_other: float
    offset: float
    """Seconds by which the longest common stretch comes later in the other one."""
    seconds: float
    """That both have, as heard in the first one."""


NOTHING = Overlap(0.0, 0.0, 0.0, 0.0)


def load_chromaprint() -> ModuleType:
    """Load Chromaprint through pyacoustid.

    Raises:
        Misconfigured: one of the two is not installed.
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
    """The fingerprint of a whole recording; empty below 2.7 s.

    Args:
        blocks: its mono samples, one block after the other. Chromaprint lets go of the interpreter's lock while it works.
        rate: Hz.

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
    """Positions of the items by which recordings are found that may be the same; in order, each value once."""
    _, first = np.unique(items, return_index=True)
    first = first[distinctive_items(items)[first]]
    mixed = mix_items(items[first])
    chosen = np.argsort(mixed, kind="stable")
    count = max(LEAST_ANCHORS, int(np.count_nonzero(mixed < 2**32 // ANCHOR_SHARE)))
    return np.sort(first[chosen[:count]])


def mix_items(items: Items) -> Items:
    """A hash of each item, by which it is an anchor or not, so that no kind of sound is preferred: Knuth's multiplicative one."""
    return items * np.uint32(2_654_435_761)


def distinctive_items(items: Items) -> npt.NDArray[np.bool_]:
    """Which items a recording can be known by: not those of silence, hum and steady noise."""
    change = np.bitwise_count(items[1:] ^ items[:-1])
    return _moving_mean(np.append(change, change[-1:])) >= _LEAST_CHANGE


def compare_fingerprints(one: Items, other: Items) -> Overlap:
    """How much of two recordings is the same, wherever in them it is: parts may have been put in, left out or moved.

    Takes memory and time in proportion to the lengths, but for 64 looks at most: half a second for twice 10 h.
    """
    heard, heard_other = distinctive_items(one), distinctive_items(other)
    found, found_other = np.zeros(len(one), np.bool_), np.zeros(len(other), np.bool_)
    at, offsets = _matching_positions(one, other, heard, heard_other)
    longest, offset = 0, 0
    for _ in range(_MOST_OFFSETS):
        if not len(offsets):
            break
        least = offsets.min()
        counts = np.append(np.bincount(offsets - least), 0)
        # where half an item lies between the two, votes go to both sides
        best = int((counts[:-1] + counts[1:]).argmax())
        if counts[best] + counts[best + 1] < _LEAST_VOTES:
            break
        tried = int(least) + best
        pair = (tried, tried + 1) if counts[best] >= counts[best + 1] else (tried + 1, tried)
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
    both, both_other = np.count_nonzero(found & heard), np.count_nonzero(found_other & heard_other)
    if not both or not both_other:
        return NOTHING
    return Overlap(
        share=float(both / np.count_nonzero(heard)),
        share_of_other=float(both_other / np.count_nonzero(heard_other)),
        offset=offset * ITEM_SECONDS,
        seconds=float(both * ITEM_SECONDS),
    )


def _matching_positions(
    one: Items, other: Items, heard: npt.NDArray[np.bool_], heard_other: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Positions in the one of items that the other has too, and how much later the other has them; a row per pair."""
    there, there_other = np.flatnonzero(heard), np.flatnonzero(heard_other)
    keys, keys_other = one[there] >> _ALIGN_SHIFT, other[there_other] >> _ALIGN_SHIFT
    order = np.argsort(keys_other, kind="stable")
    keys_other, there_other = keys_other[order], there_other[order]
    first, last = np.searchsorted(keys_other, keys, "left"), np.searchsorted(keys_other, keys, "right")
    _, back, often = np.unique(keys, return_inverse=True, return_counts=True)
    count = np.where((last - first <= _MOST_OCCURRENCES) & (often[back] <= _MOST_OCCURRENCES), last - first, 0)
    at = np.repeat(there, count)
    # of each item's pairs the first, second … : positions counted from where its run begins
    within = np.arange(len(at)) - np.repeat(np.cumsum(count) - count, count)
    return at, there_other[np.repeat(first, count) + within] - at


def _moving_mean(values: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """The mean over `_WINDOW` around each value, over what there is of it at the ends."""
    total = np.concatenate([[0], np.cumsum(values, dtype=np.int64)])
    middle = np.arange(len(values))
    begin, end = np.maximum(middle - _WINDOW // 2, 0), np.minimum(middle + _WINDOW // 2, len(values))
    return (total[end] - total[begin]) / np.maximum(end - begin, 1)


def _drop_short_runs(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The mask without its runs below `_WINDOW`."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.view(np.int8), [0]])))
    begin, end = edges[::2], edges[1::2]
    kept = end - begin >= _WINDOW
    steps = np.zeros(len(mask) + 1, np.int8)
    steps[begin[kept]], steps[end[kept]] = 1, -1
    return np.cumsum(steps[:-1]).astype(np.bool_)
