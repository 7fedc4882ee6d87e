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
    """GPUs that this process may use, as CTranslate2 counts them; 0 without it."""
    try:
        import ctranslate2
    except ImportError:
        return 0
    return ctranslate2.get_cuda_device_count()


def has_driver() -> bool:
    """Whether NVIDIA's driver is installed: without it there is no GPU to count."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def restrict_to(chosen: str | None) -> None:
    """Hide the other GPUs from this process and what it starts. Of use only before anything asks for GPUs.

    Args:
        chosen: numbers, as 0,2; None leaves all.
    """
    if chosen is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = chosen


def physical_index(index: str) -> str:
    """The driver's name of the GPU that CUDA numbers so: CUDA_VISIBLE_DEVICES renumbers them for each process."""
    visible = [v.strip() for v in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if v.strip()]
    return visible[int(index)] if index.isdigit() and int(index) < len(visible) else index


@lru_cache
def gpu_memory(index: int) -> int | None:
    """Total memory of a GPU in bytes; None if the driver does not report it. Asked once: every fingerprint needs it.

    Args:
        index: as CUDA numbers it.
    """
    try:
        told = subprocess.run(  # noqa: S603
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
    found = re.match(r"\d+", told.strip())
    return int(found.group()) * 2**20 if found else None


def load_cublas() -> None:
    """Load cuBLAS of the package nvidia-cublas-cu12, where it is installed: CTranslate2 looks for it by name, and not in there.

    A library that is loaded already is found by its name.
    """
    spec = find_spec("nvidia")
    for root in spec.submodule_search_locations or () if spec else ():
        for name in ("libcublasLt.so.12", "libcublas.so.12"):
            file = Path(root) / "cublas" / "lib" / name
            if file.exists():
                with contextlib.suppress(OSError):  # the model's own message then names what it misses
                    ctypes.CDLL(str(file), mode=ctypes.RTLD_GLOBAL)
