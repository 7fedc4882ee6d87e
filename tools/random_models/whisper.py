"""A Whisper of random weights in CTranslate2's format, in the shape of a published size, for measuring speed only.

    python -m tools.random_models.whisper FOLDER [--size tiny]

Speed depends on the shape and on the number of decoded tokens, not on the weights: fix the number of tokens. The
vocabulary has the published size and order of special tokens; its words are invented.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
from tokenizers import AddedToken, Tokenizer, decoders, models

TEXT_TOKENS = 50_257
POSITIONS, TEXT_POSITIONS = 1_500, 448
LANGUAGES = 99


@dataclass(frozen=True)
class Size:
    encoder: int
    decoder: int
    width: int
    heads: int
    mels: int = 80


SIZES = {
    "tiny": Size(4, 4, 384, 6),
    "base": Size(6, 6, 512, 8),
    "small": Size(12, 12, 768, 12),
    "large-v3-turbo": Size(32, 4, 1_280, 20, mels=128),
}


def make(folder: Path, size: str, quantization: str | None = "int8") -> None:
    """Write the model's folder."""
    shape = SIZES[size]
    random = np.random.default_rng(0)
    tokens = _tokens()
    spec = ctranslate2.specs.WhisperSpec(shape.encoder, shape.heads, shape.decoder, shape.heads)
    width = shape.width

    def weight(*dimensions: int) -> Any:
        return (random.standard_normal(dimensions, np.float32) / np.sqrt(dimensions[-1])).astype(np.float32)

    def linear(layer: Any, rows: int, columns: int) -> None:
        layer.weight, layer.bias = weight(rows, columns), np.zeros(rows, np.float32)

    def norm(layer: Any) -> None:
        layer.gamma, layer.beta = np.ones(width, np.float32), np.zeros(width, np.float32)

    def block(layer: Any) -> None:
        for name in ("self_attention", "attention"):
            if (attention := getattr(layer, name, None)) is not None:
                fused = {2: [3 * width, width], 3: [width, 2 * width, width]}[len(attention.linear)]
                for part, rows in zip(attention.linear, fused, strict=True):
                    linear(part, rows, width)
                norm(attention.layer_norm)
        linear(layer.ffn.linear_0, 4 * width, width)
        linear(layer.ffn.linear_1, width, 4 * width)
        norm(layer.ffn.layer_norm)

    encoder, decoder = spec.encoder, spec.decoder
    encoder.conv1.weight, encoder.conv1.bias = weight(width, shape.mels, 3), np.zeros(width, np.float32)
    encoder.conv2.weight, encoder.conv2.bias = weight(width, width, 3), np.zeros(width, np.float32)
    encoder.position_encodings.encodings = weight(POSITIONS, width)
    decoder.position_encodings.encodings = weight(TEXT_POSITIONS, width)
    decoder.embeddings.weight = weight(len(tokens), width)
    decoder.projection.weight = decoder.embeddings.weight
    for layer in (*encoder.layer, *decoder.layer):
        block(layer)
    norm(encoder.layer_norm)
    norm(decoder.layer_norm)

    spec.register_vocabulary(tokens)
    first = tokens.index("<|startoftranscript|>") + 1
    spec.config.suppress_ids, spec.config.suppress_ids_begin = [], []
    spec.config.lang_ids = list(range(first, first + LANGUAGES))
    spec.config.alignment_heads = [[shape.decoder - 1, head] for head in range(2)]
    spec.validate()
    spec.optimize(quantization=quantization)
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))
    _tokenizer(tokens).save(str(folder / "tokenizer.json"))
    features = {
        "feature_size": shape.mels,
        "sampling_rate": 16_000,
        "hop_length": 160,
        "chunk_length": 30,
        "n_fft": 400,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(features))


def _tokens() -> list[str]:
    from faster_whisper.tokenizer import _LANGUAGE_CODES as CODES

    # the empty token is what tells CTranslate2 that a model is multilingual
    words = ["", *(f"\u0120w{i}" for i in range(TEXT_TOKENS - 1))]
    special = ["<|endoftext|>", "<|startoftranscript|>", *(f"<|{code}|>" for code in CODES[:LANGUAGES])]
    special += [
        "<|translate|>",
        "<|transcribe|>",
        "<|startoflm|>",
        "<|startofprev|>",
        "<|nospeech|>",
        "<|notimestamps|>",
    ]
    return words + special + [f"<|{i * 0.02:.2f}|>" for i in range(1_501)]


def _tokenizer(tokens: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens[:TEXT_TOKENS])}, merges=[]))
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in tokens[TEXT_TOKENS:]])
    return tokenizer


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--quantization", default="int8", help="of CTranslate2: int8, float16, int8_float16")
    arguments = parser.parse_args()
    make(arguments.folder, arguments.size, arguments.quantization)
