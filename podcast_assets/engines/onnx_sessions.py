"""ONNX Runtime sessions on a configured device, with clear errors."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.engines import gpus

Device = Literal["auto", "cpu", "cuda"]
"""`auto` is a GPU where there is one and ONNX Runtime can compute on it."""

_CUDA = "CUDAExecutionProvider"


def runtime_version() -> str:
    """Version of ONNX Runtime, whichever distribution is installed."""
    return _import_onnxruntime().__version__


def devices(device: Device) -> list[str]:
    """Every GPU, where the setting means GPUs; none for CPUs.

    Raises:
        EngineUnavailable: see `uses_gpu`.
    """
    return [f"cuda:{i}" for i in range(gpus.gpu_count())] if uses_gpu(device) else []


def uses_gpu(device: Device) -> bool:
    """Whether the device setting selects a GPU on this machine.

    Raises:
        EngineUnavailable: it does, and ONNX Runtime cannot compute on one, or is not there.
    """
    if device == "cpu":
        return False
    able = _CUDA in _import_onnxruntime().get_available_providers()
    if device == "cuda" and not able:
        raise EngineUnavailable(
            "this ONNX Runtime supports CPUs only: install onnxruntime-gpu instead, or set the device to cpu"
        )
    return able and (device == "cuda" or gpus.gpu_count() > 0)


def open_session(
    graph: Path | bytes, device: Device, *, held: str | None = None, threads: int = 0, spin: bool = True
) -> Any:
    """Open an `onnxruntime.InferenceSession`.

    Args:
        graph: an .onnx file, or its content.
        device: the setting.
        held: the GPU that is held for it, such as "cuda:1"; None is the first.
        threads: of the CPU; 0 leaves the number to ONNX Runtime.
        spin: idle threads keep asking for work for a while, which is quicker for one session and burns the cores of others.

    Raises:
        EngineUnavailable: the file does not load, or the GPU cannot be used.
    """
    try:
        source = graph if isinstance(graph, bytes) else str(graph)
        session = _import_onnxruntime().InferenceSession(
            source, **session_arguments(device, held=held, threads=threads, spin=spin)
        )
    except Exception as error:  # errors of ONNX Runtime have no common base
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        name = "that was cut from another" if isinstance(graph, bytes) else graph
        raise EngineUnavailable(f"the model {name} cannot be loaded: {reason}") from error
    check_providers(session.get_providers(), device)
    return session


def session_arguments(
    device: Device, *, held: str | None = None, threads: int = 0, spin: bool = True
) -> dict[str, Any]:
    """Options and providers of an `InferenceSession`, for libraries that make it themselves; arguments as of `open_session`."""
    options = _import_onnxruntime().SessionOptions()
    options.intra_op_num_threads = threads
    if not spin:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers: list[Any] = ["CPUExecutionProvider"]
    if uses_gpu(device):
        providers.insert(0, (_CUDA, {"device_id": int(held.removeprefix("cuda:")) if held else 0}))
    return {"sess_options": options, "providers": providers}


def check_providers(got: Sequence[str], device: Device) -> None:
    """Make sure that a session got what the setting means: ONNX Runtime falls back to the CPU without an error.

    Raises:
        EngineUnavailable: it computes on the CPU where a GPU is meant.
    """
    if uses_gpu(device) and _CUDA not in got:
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
