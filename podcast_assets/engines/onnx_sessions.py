"""ONNX Runtime sessions on a configured device, with clear errors."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from podcast_assets.common.errors import EngineUnavailable, first_line
from podcast_assets.engines import gpus

Device = Literal["auto", "cpu", "cuda"]
"""`auto` uses a GPU if there is one and this ONNX Runtime supports it."""

_CUDA = "CUDAExecutionProvider"


def runtime_version() -> str:
    """Version of ONNX Runtime, whichever distribution is installed."""
    return _import_onnxruntime().__version__


def devices(device: Device) -> list[str]:
    """List the GPUs that a device setting selects; empty if it selects the CPU.

    Raises:
        EngineUnavailable: see `uses_gpu`.
    """
    return [f"cuda:{i}" for i in range(gpus.gpu_count())] if uses_gpu(device) else []


def uses_gpu(device: Device) -> bool:
    """Whether the device setting selects a GPU on this machine.

    Raises:
        EngineUnavailable: `cuda` is set but ONNX Runtime supports CPUs only, or ONNX Runtime is not installed.
    """
    if device == "cpu":
        return False
    supported = _CUDA in _import_onnxruntime().get_available_providers()
    if device == "cuda" and not supported:
        raise EngineUnavailable(
            "this ONNX Runtime supports CPUs only: install onnxruntime-gpu instead, or set the device to cpu"
        )
    return supported and (device == "cuda" or gpus.gpu_count() > 0)


def open_session(
    graph: Path | bytes, device: Device, *, held: str | None = None, threads: int = 0, spin: bool = True
) -> Any:
    """Open an `onnxruntime.InferenceSession`.

    Args:
        graph: an .onnx file, or its content.
        device: device setting of the engine.
        held: GPU reserved for the session, such as "cuda:1"; None for the first.
        threads: number of CPU threads; 0 lets ONNX Runtime choose.
        spin: whether idle threads busy-wait, which speeds up a single session but takes cores from others.

    Raises:
        EngineUnavailable: the file does not load, or the GPU cannot be used.
    """
    try:
        source = graph if isinstance(graph, bytes) else str(graph)
        session = _import_onnxruntime().InferenceSession(
            source, **session_arguments(device, held=held, threads=threads, spin=spin)
        )
    except Exception as error:  # errors of ONNX Runtime have no common base
        reason = first_line(error)
        name = "part of a model" if isinstance(graph, bytes) else f"the model {graph}"
        raise EngineUnavailable(f"{name} cannot be loaded: {reason}") from error
    check_providers(session.get_providers(), device)
    return session


def session_arguments(
    device: Device, *, held: str | None = None, threads: int = 0, spin: bool = True
) -> dict[str, Any]:
    """Build options and providers of an `InferenceSession`, for libraries that create it; arguments as of `open_session`."""
    options = _import_onnxruntime().SessionOptions()
    options.intra_op_num_threads = threads
    if not spin:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers: list[Any] = ["CPUExecutionProvider"]
    if uses_gpu(device):
        providers.insert(0, (_CUDA, {"device_id": int(held.removeprefix("cuda:")) if held else 0}))
    return {"sess_options": options, "providers": providers}


def check_providers(providers: Sequence[str], device: Device) -> None:
    """Check that a session uses the configured device, because ONNX Runtime falls back to the CPU without an error.

    Raises:
        EngineUnavailable: it computes on the CPU although the device setting selects a GPU.
    """
    if uses_gpu(device) and _CUDA not in providers:
        raise EngineUnavailable(
            "ONNX Runtime does not find the CUDA libraries that it needs: install those of its CUDA version, "
            "or set the device to cpu"
        )


def _import_onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise EngineUnavailable(f"onnxruntime cannot be imported ({error}): pip install onnxruntime") from error
    return onnxruntime
