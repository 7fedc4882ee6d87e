"""A micro Whisper: Hugging Face's parameters with a custom forward pass for windows of any length.

The alignment heads' cross attention is returned too, so that training can guide it.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (the field's name for it)
from torch import nn
from transformers import GenerationConfig, WhisperConfig, WhisperForConditionalGeneration

from podcast_assets_tests.training.mini_whisper.data import Tokens

HEADS = 4
LAYERS = 2
ALIGNMENT_HEADS = [[1, 0], [1, 1]]
"""(layer, head) whose cross attention gives the word times; the first heads of the last layer."""
LOCAL_OFFSETS = ((-4, -1.5, 1.5, 4), (-12, -5, 5, 12))
"""Encoder frames that each head of each layer looks away from its own, at the start of training."""


def new_model(tokens: Tokens, width: int, locality: float) -> WhisperForConditionalGeneration:
    """Return an untrained model of `width` dimensions, initialized so that it learns in minutes."""
    config = WhisperConfig(
        vocab_size=tokens.size,
        num_mel_bins=80,
        d_model=width,
        encoder_layers=LAYERS,
        decoder_layers=LAYERS,
        encoder_attention_heads=HEADS,
        decoder_attention_heads=HEADS,
        encoder_ffn_dim=4 * width,
        decoder_ffn_dim=4 * width,
        max_source_positions=1500,
        max_target_positions=448,
        pad_token_id=tokens.end,
        bos_token_id=tokens.end,
        eos_token_id=tokens.end,
        decoder_start_token_id=tokens.start,
        suppress_tokens=None,
        begin_suppress_tokens=[tokens.end],
        init_std=0.04,
    )
    model = WhisperForConditionalGeneration(config)
    with torch.no_grad():
        _scale_by_fan_in(model)
        _look_nearby(model, locality)
        _timestamps_as_positions(model, tokens)
    return model


def _scale_by_fan_in(model: WhisperForConditionalGeneration) -> None:
    """Scale weights by fan-in: Hugging Face's 0.02 makes the convolutions' features seven times weaker than the position signal."""
    for name, p in model.named_parameters():
        if p.ndim == 3:
            nn.init.normal_(p, std=1.6 / math.sqrt(p.shape[1] * p.shape[2]))
        elif p.ndim == 2 and "embed" not in name:
            gain = 0.5 if "out_proj" in name or "fc2" in name else 1.0
            nn.init.normal_(p, std=gain / math.sqrt(p.shape[1]))


def _look_nearby(model: WhisperForConditionalGeneration, strength: float) -> None:
    """Start the encoder's heads as local attention.

    Positions are [sin | cos]. A key projection that copies the fast frequencies, and a query projection that rotates
    them by an offset, make a query at t look for the key at t + offset:
    sin(w(t + o)) = cos(wo) sin(wt) + sin(wo) cos(wt).
    """
    width = model.config.d_model
    half, head_width = width // 2, width // HEADS
    frequency = torch.exp(-math.log(10000) / (half - 1) * torch.arange(half).float())
    for i, offsets in enumerate(LOCAL_OFFSETS):
        attention = model.model.encoder.layers[i].self_attn
        query, key = attention.q_proj.weight, attention.k_proj.weight
        query.mul_(0.3)
        key.mul_(0.3)
        for head, offset in enumerate(offsets):
            for j in range(head_width // 2):
                f = j if i == 0 else j + 4
                cosine = strength * math.cos(frequency[f] * offset)
                sine = strength * math.sin(frequency[f] * offset)
                row = head * head_width + 2 * j
                query[row, f] += cosine
                query[row, half + f] += sine
                query[row + 1, half + f] += cosine
                query[row + 1, f] -= sine
                key[row, f] += strength
                key[row + 1, half + f] += strength


def _timestamps_as_positions(model: WhisperForConditionalGeneration, tokens: Tokens) -> None:
    """Initialize timestamp tokens as the encoder's positions."""
    positions = model.model.encoder.embed_positions.weight
    embedding, first = model.model.decoder.embed_tokens.weight, tokens.first_timestamp
    embedding[first : first + 1500] = positions * 0.08
    embedding[first + 1500] = positions[-1] * 0.08


def _attend(
    m: Any, x: torch.Tensor, memory: torch.Tensor, causal: bool = False
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Multi-head attention by the module `m`: the output, the queries and the keys (b, heads, n, width)."""
    b, n, width = x.shape
    q = m.q_proj(x).view(b, n, HEADS, -1).transpose(1, 2)
    k = m.k_proj(memory).view(b, memory.shape[1], HEADS, -1).transpose(1, 2)
    v = m.v_proj(memory).view(b, memory.shape[1], HEADS, -1).transpose(1, 2)
    mixed = F.scaled_dot_product_attention(q, k, v, is_causal=causal).transpose(1, 2).reshape(b, n, width)
    return m.out_proj(mixed), q, k


def _feed_forward(layer: Any, x: torch.Tensor) -> torch.Tensor:
    return layer.fc2(F.gelu(layer.fc1(layer.final_layer_norm(x))))


def encode(model: WhisperForConditionalGeneration, features: torch.Tensor) -> torch.Tensor:
    """(b, 80, t) features to (b, t / 2, width) states."""
    encoder = model.model.encoder
    x = F.gelu(encoder.conv2(F.gelu(encoder.conv1(features)))).transpose(1, 2)
    x = x + encoder.embed_positions.weight[: x.shape[1]]
    for layer in encoder.layers:
        h = layer.self_attn_layer_norm(x)
        x = x + _attend(layer.self_attn, h, h)[0]
        x = x + _feed_forward(layer, x)
    return encoder.layer_norm(x)


def decode(
    model: WhisperForConditionalGeneration, ids: torch.Tensor, states: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """(b, l) ids to (b, l, width) hidden states and the alignment heads' log attention (b, heads, l, encoder frames)."""
    decoder, aligned = model.model.decoder, len(ALIGNMENT_HEADS)
    x = decoder.embed_tokens(ids) + decoder.embed_positions.weight[: ids.shape[1]]
    log_attention = torch.empty(0)
    for i, layer in enumerate(decoder.layers):
        z = layer.self_attn_layer_norm(x)
        x = x + _attend(layer.self_attn, z, z, causal=True)[0]
        z = layer.encoder_attn_layer_norm(x)
        mixed, q, k = _attend(layer.encoder_attn, z, states)
        if i == ALIGNMENT_HEADS[0][0]:
            scores = q[:, :aligned] @ k[:, :aligned].transpose(-1, -2) / math.sqrt(q.shape[-1])
            log_attention = scores.float().log_softmax(-1)
        x = x + mixed
        x = x + _feed_forward(layer, x)
    return decoder.layer_norm(x), log_attention


def generation_config(tokens: Tokens, language_ids: dict[str, int]) -> GenerationConfig:
    """Return what the converter needs beside the weights: alignment heads for word times, languages, suppressed tokens."""
    return GenerationConfig(
        suppress_tokens=[tokens.no_speech],
        begin_suppress_tokens=[tokens.end],
        alignment_heads=ALIGNMENT_HEADS,
        decoder_start_token_id=tokens.start,
        eos_token_id=tokens.end,
        pad_token_id=tokens.end,
        no_timestamps_token_id=tokens.no_timestamps,
        is_multilingual=True,
        lang_to_id=language_ids,
        task_to_id={"transcribe": tokens.transcribe, "translate": tokens.translate},
    )
