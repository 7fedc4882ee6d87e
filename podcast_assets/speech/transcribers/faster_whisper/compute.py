"""Number format and batch size for a Whisper model on the hardware at hand."""

from collections.abc import Collection

GIGABYTE = 1_000_000_000
BEAMS_SHARE = 0.5
"""Share of the memory beside the weights that batches may use; the rest is for cuBLAS' workspace and fragmentation."""


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
