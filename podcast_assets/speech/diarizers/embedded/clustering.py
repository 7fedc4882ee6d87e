"""Clustering of voice prints into speakers when the number of speakers is unknown."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from podcast_assets.speech.diarizers.embedded.voiceprints import Floats

Labels = npt.NDArray[np.intp]

MAX_WINDOWS = 4_000
"""Most windows that are clustered: 50 minutes of speech at a hop of 0.75 s. Memory grows with the square, here 64 MB."""

_SEED = 2  # windows: a single one is usually two voices or none


def cluster_speakers(
    prints: Floats,
    *,
    min_speakers: int = 1,
    max_speakers: int = 6,
    min_distance: float = 3.75,
    min_separation: float = 5.5,
    min_windows: int = 4,
) -> Labels:
    """Assign a speaker to every window.

    Ward's method makes twice as many groups as there may be speakers; then the two most similar groups are merged, as long as they
    could be one voice. Two groups are two voices if their centres are apart both in absolute terms and in relation to the
    spread of each group along the line between the centres. The second test does not depend on the length of the episode, as
    Ward's own distance does: by that measure half of a normal cloud is never far from its other half, however many the points.
    Beyond `MAX_WINDOWS` an even sample is clustered, and every window goes to the nearest centre.

    Args:
        prints: one row per window, shape (n, d).
        min_speakers: fewest speakers, if there are that many groups.
        max_speakers: most speakers.
        min_distance: least distance between the centres of two voices, in standard deviations of one voice's prints.
        min_separation: least distance between the centres, in standard deviations of the two groups along the line between them.
        min_windows: smaller groups are not a separate speaker (laughter, a jingle, two voices in one window).

    Returns:
        Speakers 0, 1, ... in order of their first window, shape (n,).
    """
    from scipy.cluster.hierarchy import fcluster, linkage

    if len(prints) < 2:
        return np.zeros(len(prints), np.intp)
    sample = prints[np.linspace(0, len(prints) - 1, min(len(prints), MAX_WINDOWS)).astype(np.intp)]
    first = fcluster(linkage(sample, method="ward"), min(2 * max_speakers, len(sample)), criterion="maxclust")
    groups = _largest_groups((sample[first == label] for label in np.unique(first)), _SEED, min_speakers)
    while len(groups) > min_speakers:
        difference, i, j = min(
            (_group_distance(groups[i], groups[j], min_distance, min_separation), i, j)
            for i in range(len(groups))
            for j in range(i + 1, len(groups))
        )
        if difference >= 1.0 and len(groups) <= max_speakers:
            break
        groups[i] = np.concatenate([groups[i], groups.pop(j)])
    groups = _largest_groups(groups, min_windows * len(sample) / len(prints), min_speakers)
    return _renumber_labels(nearest_centres(prints, np.stack([group.mean(axis=0) for group in groups])))


def nearest_centres(prints: Floats, centres: Floats) -> Labels:
    """Return the index of the centre, shape (k, d), that is nearest to each print, shape (n, d)."""
    from scipy.spatial.distance import cdist

    return cdist(prints, centres).argmin(axis=1)


def _largest_groups(groups: Iterable[Floats], floor: float, at_least: int) -> list[Floats]:
    """Return groups of at least `floor` windows, largest first, and smaller ones until there are `at_least`."""
    ordered = sorted(groups, key=len, reverse=True)
    return ordered[: max(at_least, sum(len(group) >= floor for group in ordered))]


def _group_distance(a: Floats, b: Floats, min_distance: float, min_separation: float) -> float:
    """Measure the distance of two groups; at 1.0 or more they are two voices."""
    between = a.mean(axis=0) - b.mean(axis=0)
    distance = float(np.linalg.norm(between)) + 1e-9
    along_a, along_b = a @ between / distance, b @ between / distance
    # Medians, because windows across a change of speaker lie between the voices and would hide the gap.
    middle_a, middle_b = np.median(along_a), np.median(along_b)
    deviations = np.abs(np.concatenate([along_a - middle_a, along_b - middle_b]))
    spread = np.hypot(
        1.4826 * np.median(deviations), 0.5
    )  # 1.4826: from median deviation to standard deviation of a normal
    separation = float(abs(middle_a - middle_b) / spread)
    return min(distance / min_distance, separation / min_separation)


def _renumber_labels(labels: Labels) -> Labels:
    """Renumber labels by first appearance."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].astype(np.intp)
