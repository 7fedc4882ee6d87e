"""Graphs with the signature of UVR's MDX-Net models: of random weights, or with a known effect. Small; none separates anything."""

import sys
from pathlib import Path
from typing import Literal

from tools.random_models.graph import FLOAT, Graph

CHANNELS = 4

Effect = Literal["random", "identity", "silence"]


def make(
    path: Path, *, bins: int = 3072, frames: int = 256, effect: Effect = "random", batch: int | str = "batch_size"
) -> Path:
    """Write a graph and give its path.

    Args:
        path: ends in .onnx; its folder is made.
        bins: frequencies, 3072 in the published models.
        frames: 256 in most of the published models.
        effect: what it predicts: convolutions of random weights, its input, or nothing.
        batch: chunks that it takes together; a name for any number.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    g = Graph(seed=7)
    shape = [batch, CHANNELS, bins, frames]
    value = g.input("input", FLOAT, shape)
    if effect == "random":
        hidden = g.op("Relu", g.op("Conv", value, g.weights(8, CHANNELS, 3, 3, scale=0.2), pads=[1, 1, 1, 1]))
        value = g.op("Conv", hidden, g.weights(CHANNELS, 8, 1, 1, scale=0.2))
    else:
        value = g.op("Mul", value, g.constant(1.0 if effect == "identity" else 0.0))
    g.output(value, "output", FLOAT, shape)
    g.save(path)
    return path


if __name__ == "__main__":
    make(Path(sys.argv[1]))
