"""Clustering of voice embeddings into speakers when their number is unknown."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from podcast_assets.speech.diarizers.embedded.voice_embeddings import Floats

MAX_EMBEDDINGS = 4_000
"""Embeddings that are clustered at most, more than an hour of speech; memory grows with the square, here 64 MB."""
_FINE = 0.3
"""Cosine distance up to which embeddings are grouped without looking at anything else."""
_EVIDENCE = 3
"""Pairs of embeddings in one window after which the network's opinion counts."""
_RELIABLE = 1.2
"""Seconds of audio below which an embedding is not clustered, if others are longer."""
_SHARE = 0.08
"""Share of the speech that is enough for a speaker of a short recording."""
_ROUNDS = 3
_SAME_VOICE, _SAME_VOICE_PAIRS = 0.7, 3
"""Cosine similarity to expect of two embeddings of one voice in a far-field recording, and the pairs that this counts for."""
_LEAST_SAME_VOICE, _MOST_SAME_VOICE = 0.5, 0.76
"""Bounds on the similarity inside a voice. That of clean recordings is above: there a voice that changes would be split."""

Ints = npt.NDArray[np.intp]
Doubles = npt.NDArray[np.float64]
Pair = tuple[int, int]


def cluster_voices(
    embeddings: Floats,
    seconds: Doubles,
    speech: Doubles,
    local: Iterable[tuple[int, int, int]],
    *,
    min_speakers: int,
    max_speakers: int,
    max_distance: float,
    max_distance_apart: float,
    min_speech: float,
) -> Floats:
    """Find the voices of an episode; returns their mean embeddings, of unit length, shape (speakers, d).

    Average linkage, where the similarity of two groups is relative to that inside each: short windows, reverberation and noise make
    even the embeddings of one voice differ. Voices may be much alike, so groups that the segmentation network told apart wherever
    they are near each other have to be closer than others to be joined. Groups with little speech (laughter, a jingle, two voices
    at once) are no speakers of their own.

    Args:
        embeddings: of unit length, shape (n, d), n > 0.
        seconds: length of the audio of each, shape (n,).
        speech: seconds of speech that each stands for, shape (n,): less than its length where windows overlap.
        local: (embedding, window, local speaker), see `LocalSpeakers.speakers_of`.
        min_speakers: fewest speakers, if there are that many groups.
        max_speakers: most speakers.
        max_distance: distance up to which two groups are one voice: 1 minus the mean similarity of their pairs, over the geometric
            mean of those inside the groups.
        max_distance_apart: the same for groups that the network told apart.
        min_speech: seconds of speech of a speaker; less in recordings of which this is more than `_SHARE`.
    """
    reliable = np.flatnonzero(seconds >= min(_RELIABLE, seconds.max()))
    sample = reliable[np.linspace(0, len(reliable) - 1, min(len(reliable), MAX_EMBEDDINGS)).astype(np.intp)]
    # a sampled embedding stands for several
    weight = speech[sample] * len(reliable) / len(sample)
    min_speech = min(min_speech, _SHARE * float(weight.sum()))
    tree = _linkage(embeddings[sample])
    groups = _cut(tree, len(sample), _FINE)
    apart, together = _count_pairs(local, dict(zip(sample.tolist(), groups.tolist(), strict=True)), groups.max() + 1)
    labels = _merge(embeddings[sample], groups, apart, together, max_distance, max_distance_apart)
    chosen = _speakers(labels, weight, min_speech)
    if len(chosen) < min_speakers:
        labels = _at_least(tree, len(sample), weight, min_speakers, min_speech)
        chosen = _speakers(labels, weight, min_speech)[: max(min_speakers, 1)]
    elif len(chosen) > max_speakers:
        labels, chosen = join_nearest(embeddings[sample], labels, chosen, max_speakers)
    centres = unit_vectors(np.stack([embeddings[sample][labels == label].sum(axis=0) for label in chosen]))
    for _ in range(_ROUNDS):
        nearest = (embeddings[sample] @ centres.T).argmax(axis=1)
        sums = [embeddings[sample][nearest == i].sum(axis=0) for i in range(len(centres))]
        centres = unit_vectors(np.stack([s if s.any() else c for s, c in zip(sums, centres, strict=True)]))
    return centres


def _linkage(points: Floats) -> Doubles | None:
    from scipy.cluster.hierarchy import linkage

    return linkage(points, "average", "cosine") if len(points) > 1 else None


def _cut(tree: Doubles | None, points: int, limit: float, criterion: str = "distance") -> Ints:
    from scipy.cluster.hierarchy import fcluster

    if tree is None:
        return np.zeros(points, np.intp)
    return np.unique(fcluster(tree, limit, criterion), return_inverse=True)[1].astype(np.intp)


def _count_pairs(
    local: Iterable[tuple[int, int, int]], group_of: dict[int, int], groups: int
) -> tuple[Doubles, Doubles]:
    """Count the pairs of embeddings of two groups in one window: those of different and of the same local speaker."""
    apart, together = np.zeros((groups, groups)), np.zeros((groups, groups))
    windows: dict[int, list[Pair]] = {}
    for embedding, window, speaker in local:
        if embedding in group_of:
            windows.setdefault(window, []).append((group_of[embedding], speaker))
    for found in windows.values():
        for group, speaker in found:
            for other_group, other in found:
                if group != other_group:
                    (together if speaker == other else apart)[group, other_group] += 1
    return apart, together


def _merge(
    points: Floats,
    groups: Ints,
    apart: Doubles,
    together: Doubles,
    max_distance: float,
    max_distance_apart: float,
) -> Ints:
    """Join the nearest groups as long as they may be one voice; returns labels, shape (n,)."""
    count = int(groups.max()) + 1
    sums = np.stack([points[groups == group].sum(axis=0) for group in range(count)]).astype(np.float64)
    sizes = np.bincount(groups).astype(np.float64)
    name = np.arange(count)
    while len(sums) > 1:
        inside = _similarity_inside(sums, sizes)
        distance = 1 - (sums @ sums.T) / np.outer(sizes, sizes) / np.sqrt(np.outer(inside, inside))
        told_apart = (apart + together >= _EVIDENCE) & (apart >= together)
        excess = distance - np.where(told_apart, max_distance_apart, max_distance)
        np.fill_diagonal(excess, np.inf)
        a, b = sorted(divmod(int(excess.argmin()), len(sums)))
        if excess[a, b] > 0:
            break
        sums, sizes = _join(sums, a, b), _join(sizes, a, b)
        apart, together = _join(_join(apart, a, b).T, a, b), _join(_join(together, a, b).T, a, b)
        name = np.where(name == b, a, np.where(name > b, name - 1, name))
    return name[groups]


def _similarity_inside(sums: Doubles, sizes: Doubles) -> Doubles:
    """Estimate the mean similarity of the pairs inside each group from its sum of vectors; few pairs say little."""
    similar = (sums**2).sum(axis=1) - sizes  # twice the sum over the pairs
    expected = 2 * _SAME_VOICE_PAIRS
    return np.clip(
        (similar + expected * _SAME_VOICE) / (sizes * (sizes - 1) + expected), _LEAST_SAME_VOICE, _MOST_SAME_VOICE
    )


def _join(rows: Doubles, a: int, b: int) -> Doubles:
    """Add row b to row a, and remove it."""
    rows = rows.copy()
    rows[a] += rows[b]
    return np.delete(rows, b, axis=0)


def _speakers(labels: Ints, weight: Doubles, min_speech: float) -> list[int]:
    """Return the groups with enough speech, that with the most first; the largest one if none has."""
    speech = np.bincount(labels, weight).astype(np.float64)
    order = np.argsort(-speech, kind="stable").tolist()
    return [group for group in order if speech[group] >= min_speech] or order[:1]


def _at_least(tree: Doubles | None, points: int, weight: Doubles, number: int, min_speech: float) -> Ints:
    """Cut the tree so that `number` groups have enough speech, or so many have any."""
    for groups in range(number, min(points, 4 * number) + 1):
        labels = _cut(tree, points, groups, "maxclust")
        if len(_speakers(labels, weight, min_speech)) >= number:
            return labels
    return _cut(tree, points, number, "maxclust")


def join_nearest(points: Floats, labels: Ints, chosen: list[int], number: int) -> tuple[Ints, list[int]]:
    """Join the speakers with the most similar mean embeddings until there are only `number`.

    Args:
        points: embeddings of unit length, shape (n, d).
        labels: group of each, shape (n,).
        chosen: groups that are speakers.
        number: most speakers.

    Returns:
        The new labels, and the groups that are left.
    """
    labels, chosen = labels.copy(), list(chosen)
    while len(chosen) > number:
        centres = unit_vectors(np.stack([points[labels == label].sum(axis=0) for label in chosen]))
        likeness = centres @ centres.T
        np.fill_diagonal(likeness, -np.inf)
        a, b = sorted(divmod(int(likeness.argmax()), len(chosen)))
        labels[labels == chosen[b]] = chosen[a]
        del chosen[b]
    return labels, chosen


def unit_vectors(vectors: npt.NDArray[np.floating]) -> Floats:
    """Scale vectors to a length of 1."""
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
