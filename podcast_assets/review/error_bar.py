"""The error rate of a whole dataset with its interval, estimated from a stratified sample that people corrected.

The rate is a ratio: errors over words of the reference, each sampled segment counted as often as it stands for others
(`N_h / n_h` in stratum h). Its variance is that of stratified sampling without replacement, of the linearized ratio
(W. G. Cochran, Sampling Techniques, 3rd ed., 6.11 and 5.3): with d = errors - rate by words,

    variance = Σ_h N_h² (1 - n_h / N_h) s²_h(d) / n_h / (estimated words)²

The interval is symmetrical on the logarithmic scale, because few segments hold most errors and rates cannot be negative, and uses
Student's t with Satterthwaite's degrees of freedom over the strata. Where no error was found, its upper end is the largest share of
segments with an error at which finding none among n has a chance of 5 %: 1 - 0.05^(1/n), which is cautious.

Segments of a stratum whose review is missing are taken to be like the others of it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95


@dataclass(frozen=True)
class ReviewedSegment:
    """A sampled segment with the machine's errors against the reviewers' text."""

    stratum: str
    errors: float
    """Substituted, deleted and inserted words. Where two reviewers disagree and nobody decided, the mean of both."""
    words: float
    """Words of the reference."""


@dataclass(frozen=True)
class ErrorRate:
    """An estimated error rate with its 95 % interval."""

    rate: float | None
    """Errors by words; None if nothing, or only silence, was reviewed."""
    low: float | None
    high: float | None
    """Ends of the interval; None with fewer than two segments in every stratum."""
    segments: int
    """Number of reviewed segments."""
    words: float
    """Number of words of their references."""


def estimate_error_rate(reviewed: Sequence[ReviewedSegment], sizes: Mapping[str, float]) -> ErrorRate:
    """Estimate the error rate of all segments.

    Args:
        reviewed: the reviewed segments.
        sizes: stratum → number of segments in it. Strata without a reviewed segment are left out of the estimate.

    Raises:
        KeyError: a reviewed segment is of a stratum without a size.
    """
    by_stratum: dict[str, list[ReviewedSegment]] = {}
    for one in reviewed:
        by_stratum.setdefault(one.stratum, []).append(one)
    words = sum(one.words for one in reviewed)
    parts = [_Stratum.of(max(sizes[name], len(found)), found) for name, found in sorted(by_stratum.items())]
    all_words = sum(p.size * float(p.words.mean()) for p in parts)
    if not all_words:
        return ErrorRate(None, None, None, len(reviewed), words)
    rate = sum(p.size * float(p.errors.mean()) for p in parts) / all_words
    low, high = _interval(rate, all_words, parts, len(reviewed))
    return ErrorRate(rate, low, high, len(reviewed), words)


@dataclass(frozen=True)
class _Stratum:
    size: float
    errors: np.ndarray
    words: np.ndarray

    @classmethod
    def of(cls, size: float, found: Sequence[ReviewedSegment]) -> "_Stratum":
        return cls(size, np.array([x.errors for x in found], float), np.array([x.words for x in found], float))

    def joined(self, other: "_Stratum") -> "_Stratum":
        return _Stratum(
            self.size + other.size,
            np.concatenate([self.errors, other.errors]),
            np.concatenate([self.words, other.words]),
        )


def _interval(
    rate: float, all_words: float, parts: Sequence[_Stratum], count: int
) -> tuple[float | None, float | None]:
    if count < 2:
        return None, None
    if rate == 0:
        return 0.0, 1 - (1 - CONFIDENCE) ** (1 / count)
    variances, freedoms = [], []
    for part in _collapse(parts):
        n = len(part.errors)
        deviation = part.errors - rate * part.words
        sampled = min(1.0, n / part.size)
        variances.append(part.size**2 * (1 - sampled) * float(deviation.var(ddof=1)) / n)
        freedoms.append(n - 1)
    total = sum(variances)
    if total == 0:  # everything was reviewed
        return rate, rate
    from scipy.stats import t

    freedom = total**2 / sum(v**2 / f for v, f in zip(variances, freedoms, strict=True))
    reach = float(t.ppf((1 + CONFIDENCE) / 2, freedom)) * math.sqrt(total) / all_words / rate
    return rate * math.exp(-reach), rate * math.exp(min(reach, 50.0))


def _collapse(parts: Sequence[_Stratum]) -> list[_Stratum]:
    """Join strata with one reviewed segment to the next, because a variance needs two."""
    found: list[_Stratum] = []
    for part in parts:
        if found and min(len(found[-1].errors), len(part.errors)) < 2:
            found[-1] = found[-1].joined(part)
        else:
            found.append(part)
    return found
