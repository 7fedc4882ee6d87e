"""Damage to files, told by a seed: the same seed does the same damage."""

import numpy as np

EXTREMES = (b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\1", b"\1\0\0\0", b"\x80\0\0\0")
"""What makes a length or a rate the smallest, the largest, or a negative one."""


def mutated(data: bytes, seed: int) -> bytes:
    """The data with one kind of damage."""
    rng = np.random.default_rng(seed)
    out, size = bytearray(data), len(data)

    def at(end: int = size) -> int:
        return int(rng.integers(0, max(1, min(end, size))))

    match int(rng.integers(0, 8)):
        case 0:
            for _ in range(int(rng.integers(1, 30))):
                out[at()] ^= 1 << int(rng.integers(0, 8))
        case 1:
            for _ in range(int(rng.integers(1, 12))):
                out[at(400)] = int(rng.integers(0, 256))
        case 2:
            del out[at() :]
        case 3:
            start = at()
            del out[start : start + int(rng.integers(1, 2_000))]
        case 4:
            start = at()
            out[start:start] = out[start : start + int(rng.integers(1, 2_000))] * int(rng.integers(1, 5))
        case 5:
            for _ in range(int(rng.integers(1, 4))):
                start = at(600)
                out[start : start + 4] = EXTREMES[int(rng.integers(0, len(EXTREMES)))]
        case 6:
            start = at()
            end = min(size, start + int(rng.integers(1, 5_000)))
            out[start:end] = rng.bytes(end - start)
        case _:
            for _ in range(int(rng.integers(1, 6))):
                start = at()
                out[start : start + 4] = EXTREMES[int(rng.integers(0, len(EXTREMES)))]
    return bytes(out)
