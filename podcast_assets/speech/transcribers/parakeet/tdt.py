"""Greedy decoding of token-and-duration transducers, many windows at once.

A TDT (Xu et al. 2023, arXiv:2304.06795) predicts with every token how many encoder frames it takes, and the decoder skips them.
Libraries decode one window after the other and drop the durations. Here every call of the network advances all unfinished windows,
and a token's duration gives its end.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
States = Sequence[Floats]
"""Of the prediction network, each of shape (layers, windows, width)."""
Step = Callable[[Floats, Ints, States], tuple[Floats, States]]
"""Encoder frames (windows, width), the last tokens (windows,) and states before them → logits (windows, tokens + durations) and
states after them. The durations are 0, 1, 2, … frames."""


@dataclass(frozen=True, slots=True)
class Emission:
    """Emitted token."""

    token: int
    frame: int
    duration: int
    """Frames until the next step, 0 or more."""
    logprob: float
    """Natural; over the tokens, blank included."""


def greedy_decode(
    step: Step,
    encoded: Floats,
    lengths: Ints,
    states: States,
    *,
    tokens: int,
    blank: int,
    most_per_frame: int,
) -> list[list[Emission]]:
    """Decode each window greedily: always the likeliest token and duration.

    A blank, or the last of `most_per_frame` tokens, moves on by one frame at least.

    Args:
        step: the prediction and joint networks.
        encoded: encoder output, shape (windows, frames, width).
        lengths: frames of each window, shape (windows,).
        states: states before the first token.
        tokens: size of the vocabulary, blank included.
        blank: index of the blank token; also stands for "no previous token".
        most_per_frame: tokens that may be emitted at one frame.
    """
    count = len(encoded)
    emitted: list[list[Emission]] = [[] for _ in range(count)]
    frames = np.zeros(count, np.int64)
    at_frame = np.zeros(count, np.int64)
    last = np.full(count, blank, np.int64)
    states = [s.copy() for s in states]
    while len(going := np.flatnonzero(frames < lengths)):
        logits, after = step(encoded[going, frames[going]], last[going], [s[:, going] for s in states])
        chosen = logits[:, :tokens].argmax(axis=1)
        durations = logits[:, tokens:].argmax(axis=1)
        spoke = chosen != blank
        speaking = going[spoke]
        for state, new in zip(states, after, strict=True):
            state[:, speaking] = new[:, spoke]
        last[speaking] = chosen[spoke]
        at_frame[speaking] += 1
        logprobs = _chosen_logprobs(logits[spoke, :tokens], chosen[spoke])
        for window, token, duration, logprob in zip(speaking, chosen[spoke], durations[spoke], logprobs, strict=True):
            emitted[window].append(Emission(int(token), int(frames[window]), int(duration), float(logprob)))
        stuck = (durations == 0) & (~spoke | (at_frame[going] >= most_per_frame))
        moves = np.where(stuck, 1, durations)
        frames[going] += moves
        at_frame[going[moves > 0]] = 0
    return emitted


def _chosen_logprobs(logits: Floats, chosen: Ints) -> Floats:
    highest = logits.max(axis=1)
    total = np.log(np.exp(logits - highest[:, None]).sum(axis=1))
    return logits[np.arange(len(logits)), chosen] - highest - total
