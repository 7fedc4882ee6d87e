"""Agreement of reviewers beyond chance: Cohen's kappa of two, Krippendorff's alpha of any number, with bootstrap intervals.

Both are of nominal values (true or false, or categories), and both are computed from counts that add up over items, so that an
interval costs a resampling of counts. Sources: J. Cohen, A coefficient of agreement for nominal scales (1960); K. Krippendorff,
Computing Krippendorff's Alpha-Reliability (2011); B. Efron, Better bootstrap confidence intervals (1987) on percentiles.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.float64]

REPLICATES = 2_000
_SEED = 20
"""Intervals are the same whenever they are computed."""


@dataclass(frozen=True)
class Rating:
    """What one reviewer said of one item."""

    item: Hashable
    rater: str
    value: Hashable
    cluster: Hashable = None
    """What is resampled as a whole, such as the episode, because its items resemble each other; None: the item."""


@dataclass(frozen=True)
class Agreement:
    """Agreement on some items, with its 95 % interval."""

    items: int
    """Items that at least two reviewers judged."""
    observed: float | None
    """Share of agreeing pairs, 0 to 1; None without items."""
    value: float | None
    """Kappa or alpha: 1 is full agreement, 0 that of chance. None where everybody always said the same one thing, because chance
    would agree as well, and without items."""
    low: float | None
    high: float | None
    """Ends of the interval; None without a value, and with fewer than two clusters."""


@dataclass(frozen=True)
class PairAgreement:
    """Cohen's kappa of two reviewers."""

    raters: tuple[str, str]
    """In alphabetical order."""
    agreement: Agreement


@dataclass(frozen=True)
class LabelAgreement:
    """Agreement on one label."""

    label: str
    pairs: tuple[PairAgreement, ...]
    """Each pair that has judged the same items."""
    alpha: Agreement
    """Krippendorff's alpha of all reviewers."""


def label_agreement(label: str, ratings: Iterable[Rating]) -> LabelAgreement:
    """Compute the agreement on a label, of each pair of reviewers and of all of them.

    Args:
        label: name of the label.
        ratings: judgments made without knowing the others', at most one per item and reviewer.

    Raises:
        ValueError: a reviewer has judged an item twice.
    """
    given = list(ratings)
    by_item = _by_item(given)
    raters = sorted({rating.rater for rating in given})
    pairs = []
    for first, second in combinations(raters, 2):
        found = cohens_kappa(given, first, second, by_item=by_item)
        if found.items:
            pairs.append(PairAgreement((first, second), found))
    return LabelAgreement(label, tuple(pairs), krippendorffs_alpha(given, by_item=by_item))


def cohens_kappa(ratings: Sequence[Rating], first: str, second: str, *, by_item: "_Items | None" = None) -> Agreement:
    """Compute Cohen's kappa of two reviewers, on the items that both have judged."""
    tables: dict[Hashable, Counts] = {}
    codes = _codes(ratings)
    items = 0
    for item, (cluster, values) in (_by_item(ratings) if by_item is None else by_item).items():
        if first in values and second in values:
            table = tables.setdefault(item if cluster is None else cluster, np.zeros((len(codes), len(codes))))
            table[codes[values[first]], codes[values[second]]] += 1
            items += 1
    return _with_interval(list(tables.values()), items, _kappa)


def krippendorffs_alpha(ratings: Sequence[Rating], *, by_item: "_Items | None" = None) -> Agreement:
    """Compute Krippendorff's alpha for nominal values. Items may lack judgments; those with one judgment count for nothing."""
    tables: dict[Hashable, Counts] = {}
    codes = _codes(ratings)
    items = 0
    for item, (cluster, values) in (_by_item(ratings) if by_item is None else by_item).items():
        if len(values) > 1:
            counts = np.bincount([codes[v] for v in values.values()], minlength=len(codes)).astype(np.float64)
            pairs = (np.outer(counts, counts) - np.diag(counts)) / (len(values) - 1)
            table = tables.setdefault(item if cluster is None else cluster, np.zeros((len(codes), len(codes))))
            table += pairs
            items += 1
    return _with_interval(list(tables.values()), items, _alpha)


_Items = Mapping[Hashable, tuple[Hashable, Mapping[str, Hashable]]]
"""Item → its cluster, and reviewer → value."""


def _by_item(ratings: Iterable[Rating]) -> _Items:
    found: dict[Hashable, tuple[Hashable, dict[str, Hashable]]] = {}
    for rating in ratings:
        values = found.setdefault(rating.item, (rating.cluster, {}))[1]
        if rating.rater in values:
            raise ValueError(f"{rating.rater} has judged {rating.item} twice")
        values[rating.rater] = rating.value
    return found


def _codes(ratings: Iterable[Rating]) -> dict[Hashable, int]:
    return {value: code for code, value in enumerate(sorted({r.value for r in ratings}, key=repr))}


def _with_interval(tables: Sequence[Counts], items: int, statistic: Callable[[Counts], Counts]) -> Agreement:
    """Compute a statistic of the sum of tables, and the 2.5th and 97.5th percentile of it over resampled tables."""
    if not tables:
        return Agreement(items, None, None, None, None)
    stacked = np.stack(tables)
    total = stacked.sum(axis=0)
    observed = float(np.trace(total) / total.sum())
    value = float(statistic(total[None])[0])
    if np.isnan(value):
        return Agreement(items, observed, None, None, None)
    if len(tables) < 2:
        return Agreement(items, observed, value, None, None)
    generator = np.random.default_rng(_SEED)
    weights = generator.multinomial(len(tables), np.full(len(tables), 1 / len(tables)), size=REPLICATES)
    resampled = statistic(np.tensordot(weights.astype(np.float64), stacked, axes=1))
    low, high = np.nanquantile(resampled, (0.025, 0.975))
    return Agreement(items, observed, value, float(low), float(high))


def _kappa(tables: Counts) -> Counts:
    """Kappa of contingency tables (tables by first by second); NaN where both always said the same."""
    n = tables.sum(axis=(1, 2))
    observed = np.trace(tables, axis1=1, axis2=2) / n
    chance = (tables.sum(axis=1) * tables.sum(axis=2)).sum(axis=1) / n**2
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(chance < 1, (observed - chance) / (1 - chance), np.nan)


def _alpha(tables: Counts) -> Counts:
    """Alpha of coincidence matrices (matrices by value by value); NaN where there was only one value."""
    n = tables.sum(axis=(1, 2))
    margin = tables.sum(axis=1)
    disagreement = n - np.trace(tables, axis1=1, axis2=2)
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = (n**2 - (margin**2).sum(axis=1)) / (n - 1)
        return np.where(expected > 0, 1 - disagreement / expected, np.nan)
