"""A Paraformer of random weights: files, signatures and metadata of sherpa-onnx-paraformer-zh-2023-09-14, 0.1 MB."""

import sys
from pathlib import Path

import numpy as np

from tools.random_models.graph import FLOAT, INT32, INT64, Graph

MELS, STACKED, SHIFT, UPSAMPLED = 80, 7, 6, 3
WIDTH = MELS * STACKED
EVERY = 4
"""A character begins at each so many frames of 60 ms."""
EOS = 2
TOKENS = "<blank> <s> </s> 你 好 中 国 人 大 学 生 app@@ le he@@ l@@ lo wor@@ ld <unk>".split()


def make(folder: Path, *, seed: int = 0, times: bool = True, reads_on: bool = False, broken: bool = False) -> Path:
    """Write the model's files and give their folder.

    Args:
        folder: is made.
        seed: of the weights.
        times: has the outputs that say where characters begin.
        reads_on: of a window that is padded, it goes on with random characters in the padding.
        broken: fails when it is run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    metadata = {
        "model_type": "paraformer",
        "version": 1,
        "vocab_size": len(TOKENS),
        "lfr_window_size": STACKED,
        "lfr_window_shift": SHIFT,
        "neg_mean": ",".join(["-8"] * WIDTH),
        "inv_stddev": ",".join(["0.2"] * WIDTH),
    }
    graph = _model(Graph(seed), times=times, reads_on=reads_on, broken=broken)
    graph.save(folder / "model.int8.onnx", metadata)
    lines = (f"{token} {i}\n" for i, token in enumerate(TOKENS))
    (folder / "tokens.txt").write_text("".join(lines), encoding="utf-8")
    return folder


def _model(g: Graph, *, times: bool, reads_on: bool, broken: bool) -> Graph:
    """Add a model with a peak at every fourth frame, a character between two peaks, and the end of the text after them."""
    speech = g.input("speech", FLOAT, ["batch", "frames", WIDTH])
    lengths = g.op("Cast", g.input("speech_lengths", INT32, ["batch"]), to=INT64)
    peaks = g.op("Div", g.op("Add", lengths, g.ints(EVERY - 1)), g.ints(EVERY))
    characters = g.op("Sub", peaks, g.ints(1))
    some = g.op("Slice", speech, g.ints(0), g.ints(2**60), g.ints(1), g.ints(EVERY))
    contrast = g.op("Sub", some, g.op("ReduceMean", some, axes=[-1]))
    logits = g.op("Add", g.op("MatMul", contrast, g.weights(WIDTH, len(TOKENS))), g.weights(len(TOKENS)))
    inside = g.op("Less", _numbers(g, some), g.op("Unsqueeze", characters, g.ints(1)))
    if reads_on:
        columns = g.op("Gather", g.op("Shape", some), g.ints(1), axis=0)
        inside = g.op("Or", inside, g.op("Unsqueeze", g.op("Less", peaks, columns), g.ints(1)))
    inside = g.op("Unsqueeze", g.op("Cast", inside, to=FLOAT), g.ints(-1))
    # +10000 for the end outside of the text, -10000 inside
    sign = g.op("Mul", g.op("Sub", g.constant([0.5]), inside), g.constant([2e4]))
    logits = g.op("Add", logits, g.op("Mul", sign, g.constant(np.arange(len(TOKENS)) == EOS)))
    if broken:
        logits = g.op("Gather", logits, g.op("Add", peaks, g.ints(10**6)), axis=1)  # there is no such character
    g.output(logits, "logits", FLOAT, ["batch", "characters", "vocabulary"])
    g.output(g.op("Cast", characters, to=INT32), "token_num", INT32, ["batch"])
    if times:
        number = _numbers(g, speech, UPSAMPLED)
        fires = g.op("Equal", g.op("Mod", number, g.ints(EVERY * UPSAMPLED)), g.ints(0))
        inside = g.op("Less", number, g.op("Unsqueeze", g.op("Mul", lengths, g.ints(UPSAMPLED)), g.ints(1)))
        peak = g.op("Cast", g.op("And", fires, inside), to=FLOAT)
        g.output(g.op("Mul", peak, g.constant([0.5])), "us_alphas", FLOAT, ["batch", "upsampled"])
        g.output(peak, "us_cif_peak", FLOAT, ["batch", "upsampled"])
    return g


def _numbers(g: Graph, value: str, times: int = 1) -> str:
    """Return 0, 1, 2, … for the length of the second axis of a value, or `times` that length."""
    length = g.op("Gather", g.op("Shape", value), g.constant(1, np.int64), axis=0)
    end = g.op("Mul", length, g.constant(times, np.int64))
    return g.op("Range", g.constant(0, np.int64), end, g.constant(1, np.int64))


if __name__ == "__main__":
    make(Path(sys.argv[1]))
