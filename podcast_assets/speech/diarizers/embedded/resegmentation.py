"""Resegmentation: moves speaker boundaries to where the voice changes.

The classical second pass (as in LIUM's and ICSI's systems): one Gaussian mixture per speaker, fitted to the first pass, then the
best path through a hidden Markov model whose only parameter is the cost of a change of speaker.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from podcast_assets.speech.diarizers.embedded.voiceprints import FRAME_RATE, LOUD, Frames

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture

STEP = 10
"""Frames that share a label: borders fall on tenths of a second from the start of a stretch."""

_BLOCK = 6_000  # frames at a time: bounds the memory of their distances to the Gaussians

Piece = tuple[float, float, int]
"""Start and end in seconds, speaker."""


def resegment(
    features: Frames,
    stretches: Sequence[tuple[float, float]],
    pieces: Sequence[Piece],
    *,
    switch_cost: float = 40.0,
    components: int = 4,
    max_frames: int = 20_000,
) -> list[Piece]:
    """Redraw the pieces inside the stretches of speech.

    Args:
        features: frames of the episode.
        stretches: speech, (start, end) in seconds.
        pieces: the first pass, to which the speakers' models are fitted; speakers are 0, 1, ...
        switch_cost: least gain in natural log-likelihood of a change of speaker.
        components: Gaussians per speaker.
        max_frames: most frames to which a speaker's model is fitted.

    Returns:
        Pieces in order, without overlap, covering the stretches.
    """
    speakers = sorted({speaker for *_, speaker in pieces})
    if len(speakers) < 2:
        return [(start, end, speakers[0]) for start, end in stretches] if speakers else []
    models = [_fit_mixture(features, [p for p in pieces if p[2] == s], components, max_frames) for s in speakers]
    scores = _log_likelihoods(features, models)
    out: list[Piece] = []
    for start, end in stretches:
        span = slice(round(start * FRAME_RATE), max(round(end * FRAME_RATE), round(start * FRAME_RATE) + 1))
        energy = features.energy[span]
        if not len(energy):
            continue
        loud = energy > energy.max() - LOUD
        likelihood = scores[span] * loud[:, None]
        path = _best_path(np.add.reduceat(likelihood, np.arange(0, len(likelihood), STEP), axis=0), switch_cost)
        changes = [0, *(np.flatnonzero(np.diff(path)) + 1).tolist()]
        borders = [start, *(start + c * STEP / FRAME_RATE for c in changes[1:]), end]
        out += [(borders[i], borders[i + 1], speakers[path[c]]) for i, c in enumerate(changes)]
    return out


def _fit_mixture(features: Frames, pieces: Sequence[Piece], components: int, max_frames: int) -> "GaussianMixture":
    from sklearn.mixture import GaussianMixture

    index = np.concatenate([np.arange(round(s * FRAME_RATE), round(e * FRAME_RATE)) for s, e, _ in pieces])
    index = index[index < len(features.energy)]
    energy = features.energy[index]
    index = index[energy > np.quantile(energy, 0.95) - LOUD]
    index = index[np.linspace(0, len(index) - 1, min(len(index), max_frames)).astype(np.intp)]
    return GaussianMixture(
        max(1, min(components, len(index) // 100)), covariance_type="diag", reg_covar=1e-2, max_iter=200, random_state=0
    ).fit(features.cepstra[index])


def _log_likelihoods(features: Frames, models: Sequence["GaussianMixture"]) -> npt.NDArray[np.floating]:
    """Compute the natural log-likelihood of every frame under every model, shape (frames, models)."""
    scores = np.empty((len(features.energy), len(models)), features.cepstra.dtype)
    for first in range(0, len(scores), _BLOCK):
        block = features.cepstra[first : first + _BLOCK]
        for i, model in enumerate(models):
            scores[first : first + _BLOCK, i] = model.score_samples(block)
    return scores


def _best_path(likelihood: npt.NDArray[np.floating], switch_cost: float) -> npt.NDArray[np.intp]:
    """Find the Viterbi path through log-likelihoods, shape (steps, speakers), where every change costs the same."""
    steps, speakers = likelihood.shape
    stay, came_from = np.arange(speakers), np.zeros((steps, speakers), np.intp)
    score = likelihood[0].copy()
    for t in range(1, steps):
        best = score.argmax()
        came_from[t] = np.where(score >= score[best] - switch_cost, stay, best)
        score = np.maximum(score, score[best] - switch_cost) + likelihood[t]
    path = np.zeros(steps, np.intp)
    path[-1] = score.argmax()
    for t in range(steps - 1, 0, -1):
        path[t - 1] = came_from[t, path[t]]
    return path
