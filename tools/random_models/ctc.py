"""A CTC model of random weights, like omniASR-CTC as sherpa-onnx publishes it, or like the aligner of MMS.

The convolutions are those of wav2vec 2.0's feature encoder in number, width and stride (Baevski et al. 2020), so that frames come
as from a real model; the transformer is left out.
"""

import json
import string
import sys
from pathlib import Path

from tools.random_models.graph import FLOAT, Graph

KERNELS, STRIDES = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)
CHANNELS = 8
LETTERS = [*string.ascii_lowercase, *"'-äöüßéè", *"абвгдежзийклмнопрстуфхцчшщъыьэюя", *"你好世界"]
"""Of the omnilingual model; the published one has some 9,800 of all scripts."""


def make(folder: Path, *, seed: int = 0) -> Path:
    """Write `model.int8.onnx` and `tokens.txt`; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    tokens = ["<s>", "<pad>", "</s>", "<unk>", " ", *LETTERS]
    (folder / "tokens.txt").write_text("".join(f"{t} {i}\n" for i, t in enumerate(tokens)), encoding="utf-8")
    _graph(folder / "model.int8.onnx", "x", len(tokens), seed)
    return folder


def make_mms(folder: Path, *, seed: int = 0) -> Path:
    """Write `onnx/model_int8.onnx` and `vocab.json`; return the folder."""
    (folder / "onnx").mkdir(parents=True, exist_ok=True)
    tokens = ["<blank>", "<pad>", "</s>", "<unk>", *"aienoutsrmkldghybpwcvjzf'qx"]
    (folder / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}), encoding="utf-8")
    _graph(folder / "onnx" / "model_int8.onnx", "input_values", len(tokens), seed)
    return folder


def _graph(path: Path, name: str, letters: int, seed: int) -> None:
    g = Graph(seed)
    value = g.op("Unsqueeze", g.input(name, FLOAT, ["N", "samples"]), g.ints(1))
    before = 1
    for kernel, stride in zip(KERNELS, STRIDES, strict=True):
        weights = g.weights(CHANNELS, before, kernel, scale=(2 / (before * kernel)) ** 0.5)
        value = g.op("Relu", g.op("Conv", value, weights, strides=[stride]))
        before = CHANNELS
    frames = g.op("Transpose", value, perm=[0, 2, 1])
    g.output(g.op("MatMul", frames, g.weights(CHANNELS, letters)), "logits", FLOAT, ["N", "frames", letters])
    g.save(path)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
