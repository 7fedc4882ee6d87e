"""A Parakeet TDT of random weights: files and signatures of istupakov/parakeet-tdt-0.6b-v3-onnx, 0.2 MB."""

import json
import sys
from pathlib import Path

from tools.random_models.graph import FLOAT, INT32, INT64, Graph

MELS, SUBSAMPLING, DURATIONS, LAYERS = 128, 8, 5, 2
WIDTH, HIDDEN = 32, 16
TOKENS = "<unk> ▁the ▁a ▁ s ing ▁in ▁and , . ▁Wor ld ▁Tag ▁é é ▁2 0 ▁(".split()
VOCABULARY = [*TOKENS, "<blk>"]


def make(folder: Path, *, quantization: str = "", seed: int = 6) -> Path:
    """Write the model's files and give their folder.

    Args:
        folder: is made.
        quantization: "int8" for the names of the quantized files; the numbers stay float.
        seed: of the weights.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mark = f".{quantization}" if quantization else ""
    _encoder(Graph(seed)).save(folder / f"encoder-model{mark}.onnx")
    _decoder_joint(Graph(seed + 1)).save(folder / f"decoder_joint-model{mark}.onnx")
    lines = (f"{token} {i}\n" for i, token in enumerate(VOCABULARY))
    (folder / "vocab.txt").write_text("".join(lines), encoding="utf-8")
    config = {"model_type": "nemo-conformer-tdt", "features_size": MELS, "subsampling_factor": SUBSAMPLING}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def _encoder(g: Graph) -> Graph:
    """Add an encoder of one frame per eight features, so that windows of a batch are independent."""
    features = g.input("audio_signal", FLOAT, ["batch", MELS, "frames"])
    length = g.input("length", INT64, ["batch"])
    weights = g.weights(WIDTH, MELS, SUBSAMPLING, scale=0.05)
    frames = g.op("Conv", features, weights, strides=[SUBSAMPLING], pads=[0, SUBSAMPLING - 1])
    one = g.ints(1)
    count = g.op("Add", g.op("Div", g.op("Sub", length, one), g.ints(SUBSAMPLING)), one)
    g.output(g.op("Tanh", frames), "outputs", FLOAT, ["batch", WIDTH, "encoded"])
    g.output(count, "encoded_lengths", INT64, ["batch"])
    return g


def _decoder_joint(g: Graph) -> Graph:
    """Add an LSTM of two layers over the tokens and a joint network, as in NeMo but narrower."""
    encoded = g.input("encoder_outputs", FLOAT, ["batch", WIDTH, "time"])
    targets = g.input("targets", INT32, ["batch", "tokens"])
    length = g.input("target_length", INT32, ["batch"])
    hidden = g.input("input_states_1", FLOAT, [LAYERS, "batch", HIDDEN])
    cell = g.input("input_states_2", FLOAT, [LAYERS, "batch", HIDDEN])
    value = g.op("Transpose", g.op("Gather", g.weights(len(VOCABULARY), HIDDEN), targets), perm=[1, 0, 2])
    hiddens, cells = [], []
    for layer in range(LAYERS):
        ends = g.ints(layer), g.ints(layer + 1), g.ints(0)
        before = [g.op("Slice", state, *ends) for state in (hidden, cell)]
        gates = g.weights(1, 4 * HIDDEN, HIDDEN), g.weights(1, 4 * HIDDEN, HIDDEN)
        y, h, c = g.ops("LSTM", value, *gates, "", "", *before, outputs=3, hidden_size=HIDDEN)
        value = g.op("Squeeze", y, g.ints(1))
        hiddens.append(h)
        cells.append(c)
    predicted = g.op("MatMul", g.op("Transpose", value, perm=[1, 0, 2]), g.weights(HIDDEN, HIDDEN))
    projected = g.op("MatMul", g.op("Transpose", encoded, perm=[0, 2, 1]), g.weights(WIDTH, HIDDEN))
    joined = g.op("Add", g.op("Unsqueeze", projected, g.ints(2)), g.op("Unsqueeze", predicted, g.ints(1)))
    size = len(VOCABULARY) + DURATIONS
    logits = g.op("MatMul", g.op("Tanh", joined), g.weights(HIDDEN, size))
    g.output(logits, "outputs", FLOAT, ["batch", "time", "tokens", size])
    g.output(length, "prednet_lengths", INT32, ["batch"])
    g.output(g.op("Concat", *hiddens, axis=0), "output_states_1", FLOAT, [LAYERS, "batch", HIDDEN])
    g.output(g.op("Concat", *cells, axis=0), "output_states_2", FLOAT, [LAYERS, "batch", HIDDEN])
    return g


if __name__ == "__main__":
    make(Path(sys.argv[1]))
