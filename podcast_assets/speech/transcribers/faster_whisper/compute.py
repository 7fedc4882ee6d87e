"""Number format, batch size and threads for a Whisper model on the hardware at hand."""

import os
from collections.abc import Collection

from podcast_assets.common.cores import available_cores

GIGABYTE = 1_000_000_000
BEAMS_SHARE = 0.5
"""Share of the memory beside the weights that batches may use; the rest is for cuBLAS' workspace and fragmentation."""
_MOST_THREADS = 8
"""CTranslate2 takes 4 threads by default, which more cores hardly speed up; this is twice that."""


def compute_type(device: str, supported: Collection[str], memory: int | None, weights: int | None) -> str:
    """Choose the best of CTranslate2's number formats that the device supports and that fits into memory.

    Args:
        device: "cuda" or "cpu".
        supported: formats that CTranslate2 supports on the device.
        memory: total memory of the GPU in bytes; None if unknown.
        weights: size of the model in float16 in bytes; None if unknown.
    """
    if device == "cpu":
        return "int8" if "int8" in supported else "float32"
    enough_memory = memory is None or weights is None or memory > 2 * weights + GIGABYTE
    for number_format in ("float16", "int8_float16", "int8") if enough_memory else ("int8_float16", "int8", "float16"):
        if number_format in supported:
            return number_format
    return "float32"


def batch_size(device: str, memory: int | None, weights: int | None) -> int:
    """Choose how many windows are decoded together.

    4 on CPUs, where 8 took 16 % longer on two cores; on GPUs as many as half of the free memory holds, from 8 to 64. A window
    with five beams takes about a seventh of the weights (large-v3: 0.4 GB of 3.1 GB). This is a first estimate: the batch is halved
    if memory runs out.
    """
    if device == "cpu" or memory is None or weights is None:
        return 4 if device == "cpu" else 16
    free = max(memory - weights - GIGABYTE, 0) * BEAMS_SHARE
    return max(8, min(64, int(free / (weights / 7)) // 8 * 8))


def cpu_workers(threads: int) -> tuple[int, int]:
    """Choose how many minibatches are computed at once on a CPU, and by how many threads each.

    Two with half of the threads each take 18 % less time on two cores than one with all of them: the search for tokens has too
    little to compute for several threads. They share the weights.

    Args:
        threads: threads in all; 0 for one per core, or OMP_NUM_THREADS, as CTranslate2 does, and at most `_MOST_THREADS`.
    """
    if not threads:
        given = os.environ.get("OMP_NUM_THREADS", "")
        threads = min(int(given) if given.isdecimal() and int(given) else available_cores(), _MOST_THREADS)
    return (2, threads // 2) if threads > 1 else (1, 1)
