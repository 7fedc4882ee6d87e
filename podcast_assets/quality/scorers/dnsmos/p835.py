"""Network of DNSMOS P.835 over many overlapping windows, with shared convolutions computed once.

The network's window of 900 frames of 10 ms moves by a second, so that eight of nine frames were already in the previous window.
It is a stack of convolutions, each followed by nothing but a rectifier or a pooling, up to the maximum over all that is left; so
away from the ends of a window a feature depends on the audio near it and not on where the window begins. Only features at the
ends depend on the window, as each convolution puts zeros beyond them. So every level of the stack is run

- once over all of the audio, without zeros, for the features inside of windows, and
- for each window over a few frames at its beginning and at its end, with the zeros there, for the features that depend on them.

What the last level sees is, feature for feature, what it would see of the window alone: the scores differ by rounding (1e-6). The
idea is that of dense evaluation of classifiers over images (Sermanet et al., "OverFeat", ICLR 2014; Giusti et al., "Fast image
scanning with deep max-pooling convolutional neural networks", ICIP 2013), here with the edges of the windows kept exact.

This works as long as windows begin at whole features. After two poolings one is 40 ms, so the third pooling, which would make
it 80 ms and does not divide a second, and what comes after it are done per window: 1 % of the work of a window.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.engines import onnx_sessions
from podcast_assets.engines.onnx_sessions import Device
from podcast_assets.quality.scorers.dnsmos.windows import FRAME, FRAMES, WindowRun

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

Maps = npt.NDArray[np.float32]
"""Features of shape (..., time, frequency)."""

# Operators from the frames to the first convolution, and of the levels: spectrum, then convolutions with or without a pooling
_FRONT = (
    "Transpose Transpose Conv Conv Transpose Transpose Mul Mul Add Sqrt Pow Max Log Div Unsqueeze Transpose".split()
)
_LEVELS = (
    [*["Conv", "Relu"] * 4, "MaxPool"],
    ["Conv", "Relu", "MaxPool"],
    ["Conv", "Relu"],
)


@dataclass(frozen=True, slots=True)
class _NetworkSection:
    """Section of the network in three forms, all of shape (n, …, time, frequency) → (n, channels, time, frequency)."""

    inner: Any
    """Session without zeros beyond the ends."""
    head: Any
    """With zeros before the beginning."""
    tail: Any
    """With zeros after the end."""
    reach: int
    """Input places before and after the `stride` pooled places on which a feature depends."""
    stride: int
    edge: int
    """Output places at each end of a window that depend on the zeros."""

    def compute_shared(self, shared: Maps, block: int) -> Maps:
        """Compute features of all audio; those that depend on samples beyond its ends are zero and unused."""
        reach, stride = self.reach, self.stride
        places = shared.shape[-2] // stride
        first, last = -(-reach // stride), (shared.shape[-2] - reach) // stride
        result: Maps | None = None
        for start in range(first, last, block):
            stop = min(start + block, last)
            part = shared[..., start * stride - reach : stop * stride + reach, :]
            made = _run_session(self.inner, part[None])[0]
            if result is None:
                result = np.zeros((made.shape[0], places, made.shape[2]), np.float32)
            result[:, start:stop] = made
        assert result is not None, "a window is longer than the reach"
        return result

    def compute_ends(self, windows: "_Windows") -> tuple[Maps, Maps]:
        """Compute features at the beginnings and ends of windows, `edge` places of each."""
        some = self.stride * self.edge + self.reach
        heads, tails = windows.slice_windows(0, some), windows.slice_windows(windows.length - some, windows.length)
        return _run_session(self.head, heads), _run_session(self.tail, tails)


@dataclass(frozen=True, slots=True)
class _Windows:
    """Input of a network section for several windows."""

    shared: Maps
    """Features of all audio."""
    starts: Sequence[int]
    """Places at which the windows begin."""
    length: int
    """Places of a window."""
    heads: Maps | None = None
    """Features of the first places of each window, shape (windows, …, places, frequency)."""
    tails: Maps | None = None
    """Features of the last places of each window."""

    def slice_windows(self, first: int, last: int, some: slice = slice(None)) -> Maps:
        """Return places of some windows, shape (windows, …, places, frequency); head and tail are included whole or not at all."""
        return np.stack([self._slice_window(w, first, last) for w in range(len(self.starts))[some]])

    def _slice_window(self, window: int, first: int, last: int) -> Maps:
        if self.heads is None or self.tails is None:
            return self.shared[..., self.starts[window] + first : self.starts[window] + last, :]
        edge = self.heads.shape[-2]
        before, after = first < edge, last > self.length - edge
        begin = self.starts[window] + (edge if before else first)
        end = self.starts[window] + (self.length - edge if after else last)
        pieces = [
            *([self.heads[window, ..., first:, :]] if before else []),
            self.shared[..., begin:end, :],
            *([self.tails[window, ..., : last - (self.length - edge), :]] if after else []),
        ]
        return np.concatenate(pieces, axis=-2)


class P835:
    """DNSMOS P.835 with a loaded network."""

    def __init__(
        self,
        graph: Path,
        device: Device = "cpu",
        *,
        held: str | None = None,
        threads: int = 1,
        block: int = 300,
        batch: int = 8,
    ) -> None:
        """Cut the network at its levels, and load the parts.

        Args:
            graph: ONNX file of P.835.
            device: device for the network.
            held: the GPU that is held for it, such as "cuda:1".
            threads: CPU threads.
            block: frames per call of a level; a second takes 8 MB at the first level.
            batch: windows per call of the layers after the levels; each takes 1 MB.

        Raises:
            EngineUnavailable: the file is not this network, or the device cannot be used.
        """
        import onnx

        model = onnx.load(graph)
        nodes = list(model.graph.node)
        begin = next((i for i, n in enumerate(nodes) if n.op_type == "Concat"), -1) + 1
        operators = [n.op_type for n in nodes[begin:]]
        expected = _FRONT + [operator for level in _LEVELS for operator in level]
        if not begin or operators[: len(expected)] != expected:
            raise EngineUnavailable(f"{graph} is not the supported network of DNSMOS P.835")

        def session(first: int, last: int, *, before: bool, after: bool) -> Any:
            part = _extract_subgraph(model, nodes[first:last], before=before, after=after)
            return onnx_sessions.open_session(part, device, held=held, threads=threads, spin=False)

        self._levels: list[_NetworkSection] = []
        edge, first = 0, begin
        for index, level in enumerate(_LEVELS):
            last = first + len(level) + (len(_FRONT) if index == 0 else 0)
            reach, stride = level.count("Conv"), 2 if "MaxPool" in level else 1
            ends = {"inner": (False, False), "head": (True, False), "tail": (False, True)}
            sessions = {k: session(first, last, before=b, after=a) for k, (b, a) in ends.items()}
            edge = -(-(edge + reach) // stride)
            self._levels.append(_NetworkSection(**sessions, reach=reach, stride=stride, edge=edge))
            first = last
        self._rest = session(first, len(nodes), before=True, after=True)
        self._block, self._batch = block, batch

    def __call__(self, stretches: Sequence[WindowRun]) -> npt.NDArray[np.float32]:
        """Compute the network's output for each window, in order: shape (windows, 3)."""
        frames, starts, so_far = [], [], 0
        for stretch in stretches:
            blocks = stretch.samples.reshape(-1, FRAME)
            frames.append(np.concatenate([blocks[:-1], blocks[1:]], axis=1))  # frames overlap by half
            starts += [so_far + b for b in stretch.begins]
            so_far += len(frames[-1])  # a multiple of ALIGNMENT, so that the next stretch is aligned too
        windows = _Windows(np.concatenate(frames), starts, FRAMES)
        block = self._block
        for level in self._levels:
            block //= level.stride
            heads, tails = level.compute_ends(windows)
            shared = level.compute_shared(windows.shared, block)
            begins = [s // level.stride for s in windows.starts]
            windows = _Windows(shared, begins, windows.length // level.stride, heads, tails)
        result = []
        for first in range(0, len(starts), self._batch):
            some = slice(first, first + self._batch)
            result.append(_run_session(self._rest, windows.slice_windows(0, windows.length, some)))
        return np.concatenate(result)


def _run_session(session: Any, maps: Maps) -> Maps:
    return session.run(None, {session.get_inputs()[0].name: np.ascontiguousarray(maps)})[0]


def _extract_subgraph(model: "ModelProto", nodes: Sequence["NodeProto"], *, before: bool, after: bool) -> bytes:
    """Extract consecutive operators of a network as a separate network for any length.

    Args:
        model: the network.
        nodes: consecutive operators of the network, with one input besides weights.
        before: keep the zero padding before the start of the time axis.
        after: keep the padding after its end.
    """
    from onnx import TensorProto, helper

    copies = [type(n).FromString(n.SerializeToString()) for n in nodes]
    for node in copies:
        for attribute in node.attribute:
            if (
                node.op_type == "Conv" and attribute.name == "pads"
            ):  # of time, frequency: at the beginnings, then at the ends
                attribute.ints[0] *= before
                attribute.ints[2] *= after
    used = {name for node in copies for name in node.input}
    weights = [w for w in model.graph.initializer if w.name in used]
    outer = [n for n in copies[0].input if n not in {w.name for w in weights}]
    result = copies[-1].output[0]
    graph = helper.make_graph(
        copies,
        "part",
        [helper.make_tensor_value_info(outer[0], TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info(result, TensorProto.FLOAT, None)],
        weights,
    )
    made = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    return made.SerializeToString()
