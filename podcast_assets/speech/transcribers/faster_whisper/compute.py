"""Number format and batch size for a Whisper model on the hardware at hand."""

from collections.abc import Collection

GIGABYTE = 1_000_000_000
BEAMS_SHARE = 0.5
"""Of the memory that the weights leave free, the share that batches may take: the rest is cuBLAS' workspace and fragments."""


def compute_type(device: str, supported: Collection[str], memory: int | None, weights: int | None) -> str:
    """The best of CTranslate2's number formats that the device has and that fits.

    Args:
        device: "cuda" or "cpu".
        supported: formats that CTranslate2 has for the device.
        memory: of the GPU in all, bytes; None where it is not known.
        weights: of the model in float16, bytes; None where it is not known.
    """
    if device == "cpu":
        return "int8" if "int8" in supported else "float32"
    roomy = memory is None or weights is None or memory > 2 * weights + GIGABYTE
    for wanted in ("float16", "int8_float16", "int8") if roomy else ("int8_float16", "int8", "float16"):
        if wanted in supported:
            return wanted
    return "float32"


def batch_size(device: str, memory: int | None, weights: int | None) -> int:
    """Windows decoded together.

    4 on CPUs, where 8 took 16 % longer on two cores; on GPUs as many as half of the free memory holds, from 8 to 64. A window
    with five beams takes about as much as a seventh of the weights (large-v3: 3.1 GB and 0.4 GB; an estimate to start with: memory
    that runs out halves the batch).
    """
    if device == "cpu" or memory is None or weights is None:
        return 4 if device == "cpu" else 16
    free = max(memory - weights - GIGABYTE, 0) * BEAMS_SHARE
    return max(8, min(64, int(free / (weights / 7)) // 8 * 8))
