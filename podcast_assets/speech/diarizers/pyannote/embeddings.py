"""pyannote.audio's speaker embeddings, with the costly part of the network computed once per window instead of once per speaker.

The library passes every window to its embedding model once per speaker (three times for the published pipelines), each time with
another mask. In WeSpeaker's ResNets (Wang et al. 2023) the mask enters at the statistics pooling only, so the convolutions before
it give the same result each time (pyannote-audio's issues 1634 and 2050). `benchmarks/pyannote_embeddings.py` measures the savings.
On a CPU the embeddings equal those of the library bit for bit at the same batch size; at other sizes the library's own differ in
the last bits.
"""

import logging
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

CHECKED_RELEASES = "4.0."
"""Releases of pyannote.audio that this was checked with. Later ones may do the same by themselves."""


def share_trunk(model: Any, speakers: int) -> bool:
    """Make an embedding model compute its convolutions once for the speakers of a window, wherever the library calls it.

    Args:
        model: pyannote.audio's embedding model. Unchanged, with a log message, if it is not one of WeSpeaker's ResNets or
            the release of pyannote.audio has not been checked.
        speakers: rows of a batch that belong to one window, one after the other.

    Returns:
        Whether the model was changed.
    """
    if reason := _unsupported_reason(model):
        log.info("speaker embeddings are computed by pyannote.audio itself, once per window and speaker: %s", reason)
        return False
    model.forward = partial(_forward_shared, model, speakers)
    return True


def _unsupported_reason(model: Any) -> str:
    """Return why the library's own computation must be kept; empty if it need not be."""
    from pyannote.audio.models.embedding.wespeaker import BaseWeSpeakerResNet

    if not (installed := version("pyannote.audio")).startswith(CHECKED_RELEASES):
        return f"the release {installed} is not known"
    steps = ("forward", "forward_frames", "forward_embedding")
    if not isinstance(model, BaseWeSpeakerResNet) or any(
        getattr(type(model), step) is not getattr(BaseWeSpeakerResNet, step) for step in steps
    ):
        return f"the model is a {type(model).__name__}, not one of WeSpeaker's ResNets"
    if vars(model.resnet)["two_emb_layer"]:
        return "what follows the pooling takes one speaker at a time"
    return ""


def _forward_shared(
    model: Any, speakers: int, waveforms: "torch.Tensor", weights: "torch.Tensor | None" = None
) -> "torch.Tensor":
    """Replace `BaseWeSpeakerResNet.forward`, which still computes rows that do not repeat each window `speakers` times.

    Args:
        model: the embedding model.
        speakers: as for `share_trunk`.
        waveforms: shape (rows, 1, samples).
        weights: masks, shape (rows, frames).

    Returns:
        Embeddings, shape (rows, dimension).
    """
    rows = len(waveforms)
    if weights is None or weights.dim() != 2 or rows % speakers:
        return type(model).forward(model, waveforms, weights)
    windows = waveforms.unflatten(0, (-1, speakers))
    if not bool((windows[:, 1:] == windows[:, :1]).all()):
        return type(model).forward(model, waveforms, weights)
    frames = model.forward_frames(windows[:, 0])
    return model.forward_embedding(frames, weights.unflatten(0, (-1, speakers))).flatten(0, 1)
