"""senko's clustering with bounds on the number of speakers."""

from typing import Any

import numpy as np

from podcast_assets.speech.diarizers.embedded.clustering import Ints, join_nearest, unit_vectors


class BoundedClustering:
    """Wraps one of senko's clusterings: spectral up to 20 minutes, UMAP and HDBSCAN from there.

    The spectral one takes bounds itself, but joins and drops clusters afterwards; the other one takes none.
    """

    def __init__(self, clustering: Any) -> None:
        self._clustering = clustering
        self.bounds: tuple[int, int] = (1, 1)
        """Fewest and most speakers of the next episode."""

    def __call__(self, embeddings: np.ndarray) -> Ints:
        """Return the cluster of each embedding. Too few embeddings to be told apart, six seconds of speech, are one cluster."""
        low, high = self.bounds
        if hasattr(self._clustering.cluster, "max_num_spks"):
            self._clustering.cluster.min_num_spks = min(low, len(embeddings) - 1)
            self._clustering.cluster.max_num_spks = min(high, len(embeddings) - 1)
        labels = np.asarray(self._clustering(embeddings), np.intp)
        if len(embeddings) < self._clustering.cluster_line:
            return labels
        points = unit_vectors(embeddings)
        found = np.unique(labels).tolist()
        if len(found) > high:
            return join_nearest(points, labels, found, high)[0]
        if len(found) < low:
            from sklearn.cluster import KMeans

            return np.asarray(KMeans(low, random_state=0).fit_predict(points), np.intp)
        return labels
