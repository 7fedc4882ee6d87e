"""An audio tagger of random weights: files and signature of sherpa-onnx-zipformer-small-audio-tagging-2024-04-15, 0.2 MB."""

import sys
from collections.abc import Sequence
from pathlib import Path

from tools.random_models.graph import FLOAT, INT64, Graph

MELS = 80
NAMES = ("Speech", "Music", "Guitar", "Traffic noise, roadway noise", "White noise", "Silence")


def make(folder: Path, *, seed: int = 0, names: Sequence[str] = NAMES, certain: str | None = None) -> Path:
    """Write the model's files and give their folder.

    Args:
        folder: is made.
        seed: of the weights.
        names: of the classes; the published models have the 527 of AudioSet.
        certain: class that is as good as certain in every window, and the others as good as impossible.
    """
    folder.mkdir(parents=True, exist_ok=True)
    g = Graph(seed)
    features = g.input("x", FLOAT, ["N", "T", MELS])
    g.input("x_lens", INT64, ["N"])
    mean = g.op("ReduceMean", features, axes=[1], keepdims=0)
    logits = g.op("MatMul", mean, g.weights(MELS, len(names), scale=0.01))
    if certain is not None:
        logits = g.op("Add", logits, g.constant([20.0 if name == certain else -20.0 for name in names]))
    g.output(g.op("Sigmoid", logits), "probs", FLOAT, ["N", len(names)])
    g.save(folder / "model.onnx")
    rows = (f'{number},/m/{number},"{name}"\n' for number, name in enumerate(names))
    (folder / "class_labels_indices.csv").write_text("index,mid,display_name\n" + "".join(rows), encoding="utf-8")
    return folder


if __name__ == "__main__":
    make(Path(sys.argv[1]))
