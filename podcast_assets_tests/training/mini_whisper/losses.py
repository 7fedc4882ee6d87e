"""Three losses: next token, word at each encoder frame, and attention of the alignment heads."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  (the field's name for it)
from torch import nn
from transformers import WhisperForConditionalGeneration

from podcast_assets_tests.training.mini_whisper.data import IGNORE, SILENCE, Batch, Tokens
from podcast_assets_tests.training.mini_whisper.model import decode, encode

SOFT_TIMESTAMP = ((-3, 0.06), (-2, 0.12), (-1, 0.2), (0, 0.24), (1, 0.2), (2, 0.12), (3, 0.06))
"""(steps of 0.02 s, weight): a timestamp a little off is a little wrong."""
TIMESTAMP_WEIGHT = 0.5
END_WEIGHT = 3.0
SILENCE_WEIGHT = 0.3


@dataclass
class Losses:
    """Losses and two figures to watch: share of text tokens right, and median timestamp error in seconds."""

    token: torch.Tensor
    frame: torch.Tensor
    guide: torch.Tensor
    accuracy: torch.Tensor
    timestamp_error: torch.Tensor

    def total(self, progress: float) -> torch.Tensor:
        """The sum to minimize; the frame loss leads in the first half of training."""
        return self.token + (1.0 if progress < 0.5 else 0.3) * self.frame + 0.3 * self.guide

    def __str__(self) -> str:
        return (
            f"token {self.token:.3f} frame {self.frame:.3f} guide {self.guide:.3f} "
            f"accuracy {self.accuracy:.4f} timestamps {self.timestamp_error:.3f} s"
        )


def losses(model: WhisperForConditionalGeneration, word_head: nn.Linear, batch: Batch, tokens: Tokens) -> Losses:
    """Run the model over a batch. `word_head` maps encoder states to frame labels and is dropped after training."""
    states = encode(model, batch.features)
    hidden, log_attention = decode(model, batch.ids, states)
    token, accuracy, timestamp_error = token_loss(model, hidden, batch.next_ids, tokens)
    return Losses(
        token=token,
        frame=frame_loss(word_head(states).float(), batch.frame_labels),
        guide=guide_loss(log_attention, batch.guides),
        accuracy=accuracy,
        timestamp_error=timestamp_error,
    )


def frame_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Compute the loss of the word at each encoder frame, known from the synthesizer. With CTC instead, nothing was learned."""
    weights = torch.ones(logits.shape[-1])
    weights[SILENCE] = SILENCE_WEIGHT
    return F.cross_entropy(logits.transpose(1, 2), labels, weight=weights, ignore_index=IGNORE)


def guide_loss(log_attention: torch.Tensor, guides: torch.Tensor) -> torch.Tensor:
    """Compute the negative log of the attention to the frames of the word being written."""
    if not len(guides):
        return torch.zeros(())
    rows = log_attention[guides[:, 0], :, guides[:, 1]]
    at = torch.arange(rows.shape[-1])[None]
    inside = (at >= guides[:, 2:3]) & (at <= guides[:, 3:4])
    return -torch.logsumexp(rows.masked_fill(~inside[:, None], -1e9), -1).mean()


def token_loss(
    model: WhisperForConditionalGeneration, hidden: torch.Tensor, next_ids: torch.Tensor, tokens: Tokens
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Compute the cross entropy of the next token, soft for timestamps; then accuracy and median timestamp error in seconds."""
    counted = next_ids != IGNORE
    logits = hidden[counted] @ model.model.decoder.embed_tokens.weight.t()
    goal = next_ids[counted]
    log_probs = logits.float().log_softmax(-1)
    right = log_probs.argmax(-1) == goal

    is_time = goal >= tokens.first_timestamp
    text = goal[~is_time]
    weight = torch.where(text == tokens.end, END_WEIGHT, 1.0)
    loss = -(log_probs[~is_time].gather(1, text[:, None])[:, 0] * weight).sum()
    timestamp_error = torch.tensor(0.0)
    if is_time.any():
        times, time_log_probs = goal[is_time], log_probs[is_time]
        for steps, share in SOFT_TIMESTAMP:
            near = (times + steps).clamp(tokens.first_timestamp, tokens.size - 1)
            loss = loss - TIMESTAMP_WEIGHT * share * time_log_probs.gather(1, near[:, None]).sum()
        timestamp_error = (time_log_probs.argmax(-1) - times).abs().float().median() * 0.02
    return loss / counted.sum(), right[~is_time].float().mean(), timestamp_error
