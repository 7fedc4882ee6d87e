"""Agreement: published examples, other implementations, and intervals that hold what they say."""

import numpy as np
import pytest

from podcast_assets.review.agreement import Rating, cohens_kappa, krippendorffs_alpha, label_agreement

KRIPPENDORFF_2011 = {
    "A": "1 2 3 3 2 1 4 1 2 . . .",
    "B": "1 2 3 3 2 2 4 1 2 5 . 3",
    "C": ". 3 3 3 2 3 4 2 2 5 1 .",
    "D": "1 2 3 3 2 4 4 1 2 5 1 .",
}
"""Example C of Krippendorff's "Computing Krippendorff's Alpha-Reliability": nominal, four observers, missing values."""


def ratings_of(rows: dict[str, str]) -> list[Rating]:
    return [
        Rating(item, rater, value)
        for rater, row in rows.items()
        for item, value in enumerate(row.split())
        if value != "."
    ]


def test_alpha_is_that_of_krippendorffs_own_example() -> None:
    alpha = krippendorffs_alpha(ratings_of(KRIPPENDORFF_2011))
    assert alpha.value == pytest.approx(0.743, abs=0.0005)
    assert alpha.items == 11, "the last item has one judgment"


def test_kappa_is_that_of_the_textbook_and_of_scikit_learn() -> None:
    # 50 grant proposals, 20 both yes, 15 both no (https://en.wikipedia.org/wiki/Cohen%27s_kappa)
    pairs = [(True, True)] * 20 + [(True, False)] * 5 + [(False, True)] * 10 + [(False, False)] * 15
    ratings = [Rating(n, r, v) for n, both in enumerate(pairs) for r, v in zip(("ada", "ben"), both, strict=True)]
    kappa = cohens_kappa(ratings, "ada", "ben")
    assert kappa.value == pytest.approx(0.4)
    assert kappa.observed == pytest.approx(0.7)
    assert kappa.low is not None and kappa.high is not None
    assert kappa.low < 0.4 < kappa.high
    metrics = pytest.importorskip("sklearn.metrics")
    generator = np.random.default_rng(1)
    first, second = generator.integers(0, 4, (2, 300))
    many = [Rating(n, r, int(v)) for r, row in (("a", first), ("b", second)) for n, v in enumerate(row)]
    assert cohens_kappa(many, "a", "b").value == pytest.approx(metrics.cohen_kappa_score(first, second))


def test_what_cannot_be_measured_has_no_value() -> None:
    same = [Rating(n, r, False) for n in range(9) for r in ("a", "b")]
    found = label_agreement("hate", same)
    assert (found.alpha.items, found.alpha.observed, found.alpha.value) == (9, 1.0, None)
    assert label_agreement("hate", [Rating(1, "a", True)]).alpha.items == 0
    assert label_agreement("hate", [Rating(1, "a", True), Rating(2, "b", True)]).pairs == ()
    with pytest.raises(ValueError, match="twice"):
        label_agreement("hate", [Rating(1, "a", True), Rating(1, "a", False)])


def test_each_pair_has_a_kappa_on_its_common_items() -> None:
    found = label_agreement("value", ratings_of(KRIPPENDORFF_2011))
    assert [pair.raters for pair in found.pairs] == [
        ("A", "B"),
        ("A", "C"),
        ("A", "D"),
        ("B", "C"),
        ("B", "D"),
        ("C", "D"),
    ]
    assert {pair.raters: pair.agreement.items for pair in found.pairs}["A", "C"] == 8


def test_the_interval_of_alpha_covers_the_truth_where_items_of_an_episode_are_alike() -> None:
    """Two reviewers err independently in 10 %; an episode's items are all alike in half of the episodes."""
    generator = np.random.default_rng(5)
    # a fair coin per item, errors 0.1 each: agreement 0.82, chance 0.5
    truth = (0.82 - 0.5) / 0.5
    covered = 0
    for _ in range(120):
        ratings = []
        for episode in range(60):
            alike = generator.random() < 0.5
            coin = generator.random(5) < 0.5
            real = np.full(5, coin[0]) if alike else coin
            for rater in ("a", "b"):
                said = real ^ (generator.random(5) < 0.1)
                ratings += [Rating((episode, n), rater, bool(v), episode) for n, v in enumerate(said)]
        alpha = krippendorffs_alpha(ratings)
        assert alpha.low is not None and alpha.high is not None
        covered += alpha.low <= truth <= alpha.high
    assert 0.90 <= covered / 120 <= 0.99
