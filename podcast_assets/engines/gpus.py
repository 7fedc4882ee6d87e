"""NVIDIA GPUs of this machine."""

import contextlib
import ctypes
import os
import re
import subprocess
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path


def gpu_count() -> int:
    """Number of GPUs that this process may use, as counted by CTranslate2; 0 if it is not installed."""
    try:
        import ctranslate2
    except ImportError:
        return 0
    return ctranslate2.get_cuda_device_count()


def torch_device(device: str, index: int | None) -> str:
    """Return torch's name of the device that an engine's settings choose, such as "cpu" or "cuda:1".

    Args:
        device: `auto`, `cpu` or `cuda`. Without torch it is "cpu": that torch is missing is reported when the engine is loaded.
        index: index of the GPU; None is the first.
    """
    if device != "cpu":
        with contextlib.suppress(ImportError):
            import torch

            if device == "cuda" or torch.cuda.is_available():
                return f"cuda:{index or 0}"
    return "cpu"


def torch_devices(device: str, index: int | None) -> list[str]:
    """Return the GPUs that torch may use by an engine's settings: that of `index`, or any; empty for the CPU."""
    if torch_device(device, index) == "cpu":
        return []
    if index is not None:
        return [f"cuda:{index}"]
    import torch

    return [f"cuda:{i}" for i in range(torch.cuda.device_count())]


def has_driver() -> bool:
    """Whether NVIDIA's driver is installed."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def set_visible_gpus(indices: str | None) -> None:
    """Hide all other GPUs from this process and its children. Has no effect once CUDA is initialized.

    Args:
        indices: such as 0,2; None leaves all GPUs visible.
    """
    if indices is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = indices


def physical_index(index: str) -> str:
    """Convert CUDA's index of a GPU to the driver's; CUDA_VISIBLE_DEVICES renumbers GPUs for each process."""
    visible = [v.strip() for v in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if v.strip()]
    return visible[int(index)] if index.isdigit() and int(index) < len(visible) else index


@lru_cache
def gpu_memory(index: int) -> int | None:
    """Total memory of a GPU in bytes; None if the driver does not report it. Cached, because every fingerprint needs it.

    Args:
        index: CUDA's index of the GPU.
    """
    try:
        output = subprocess.run(  # noqa: S603
            [  # noqa: S607
                "nvidia-smi",
                f"--id={physical_index(str(index))}",
                "--query-gpu=memory.total",
                "--format=csv,noheader,nounits",
            ],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.match(r"\d+", output.strip())
    return int(found.group()) * 2**20 if found else None


def load_cublas() -> None:
    """Load cuBLAS from the package nvidia-cublas-cu12 if it is installed.

    CTranslate2 opens cuBLAS by name and does not search Python packages, but finds a library that is already loaded.
    """
    spec = find_spec("nvidia")
    for root in spec.submodule_search_locations or () if spec else ():
        for name in ("libcublasLt.so.12", "libcublas.so.12"):
            file = Path(root) / "cublas" / "lib" / name
            if file.exists():
                with contextlib.suppress(OSError):  # loading the model then reports what is missing
                    ctypes.CDLL(str(file), mode=ctypes.RTLD_GLOBAL)
