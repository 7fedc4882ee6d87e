"""A FireRedASR-AED of random weights: files, signatures and metadata of sherpa-onnx-fire-red-asr-large-zh_en-2025-02-16, 0.2 MB."""

import sys
from pathlib import Path

from tools.random_models.graph import FLOAT, INT64, Graph

MELS, LAYERS, HEADS, HEAD_WIDTH, LONGEST = 80, 1, 1, 4, 1024
WIDTH = HEADS * HEAD_WIDTH
SOS, EOS = 3, 4
TOKENS = "<blank> <unk> <pad> <sos> <eos> 你 好 中 国 人 大 学 生 ▁HE LLO ▁WOR LD ▁A ING".split()
TYPICAL_TOKENS = 12
"""Approximate number of tokens of a window: the end becomes likelier with every token."""


def make(folder: Path, *, seed: int = 0, endless: bool = False, broken: bool = False) -> Path:
    """Write the model's files and give their folder.

    Args:
        folder: is made.
        seed: of the weights.
        endless: never ends by itself.
        broken: its decoder fails when it is run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    metadata = {
        "model_type": "fire-red-asr-aed",
        "version": 1,
        "num_decoder_layers": LAYERS,
        "num_head": HEADS,
        "head_dim": HEAD_WIDTH,
        "sos": SOS,
        "eos": EOS,
        "max_len": LONGEST,
        "cmvn_mean": ",".join(["10"] * MELS),
        "cmvn_inv_stddev": ",".join(["0.25"] * MELS),
    }
    _encoder(Graph(seed)).save(folder / "encoder.int8.onnx", metadata)
    _decoder(Graph(seed + 1), endless=endless, broken=broken).save(folder / "decoder.int8.onnx")
    lines = (f"{token} {i}\n" for i, token in enumerate(TOKENS))
    (folder / "tokens.txt").write_text("".join(lines), encoding="utf-8")
    return folder


def _encoder(g: Graph) -> Graph:
    """Add an encoder that outputs keys and values of every fourth frame."""
    features = g.input("x", FLOAT, [1, "T", MELS])
    g.input("x_len", INT64, [1])
    some = g.op("Slice", features, g.ints(0), g.ints(2**60), g.ints(1), g.ints(4))
    for name in ("n_layer_cross_k", "n_layer_cross_v"):
        value = g.op("Tanh", g.op("MatMul", some, g.weights(MELS, WIDTH)))
        g.output(g.op("Unsqueeze", value, g.ints(0)), name, FLOAT, [LAYERS, 1, "T4", WIDTH])
    return g


def _decoder(g: Graph, *, endless: bool, broken: bool) -> Graph:
    """Add a decoder that uses the last token, its number and the mean of the encoder output; the cache passes through."""
    cache = [LAYERS, 1, LONGEST, HEADS, HEAD_WIDTH]
    tokens = g.input("tokens", INT64, [1, 1])
    caches = [g.input(f"in_n_layer_self_{x}_cache", FLOAT, cache) for x in "kv"]
    cross = [g.input(f"n_layer_cross_{x}", FLOAT, [LAYERS, 1, "T", WIDTH]) for x in "kv"]
    offset = g.op("Cast", g.input("offset", INT64, [1]), to=FLOAT)
    encoded = [g.op("ReduceMean", c, axes=[0, 2], keepdims=0) for c in cross]
    state = g.op("Add", g.op("Gather", g.weights(len(TOKENS), WIDTH), tokens), g.op("Add", *encoded))
    state = g.op("Add", state, g.op("Sin", offset))
    logits = g.op("MatMul", state, g.weights(WIDTH, len(TOKENS)))
    never = [-1e4 if i < EOS or (endless and i == EOS) else 0.0 for i in range(len(TOKENS))]
    growing = [0.5 * (i == EOS) for i in range(len(TOKENS))]
    late = g.op("Mul", g.op("Sub", offset, g.constant([TYPICAL_TOKENS])), g.constant(growing))
    logits = g.op("Add", g.op("Add", logits, late), g.constant(never))
    if broken:
        logits = g.op(
            "Gather", logits, g.op("Add", g.op("Cast", offset, to=INT64), g.ints(2)), axis=0
        )  # there is no row 2
    g.output(logits, "logits", FLOAT, [1, 1, "V"])
    for name, value in zip("kv", caches, strict=True):
        g.output(value, f"out_n_layer_self_{name}_cache", FLOAT, cache)
    return g


if __name__ == "__main__":
    make(Path(sys.argv[1]))
