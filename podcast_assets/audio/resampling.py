"""Resampling of audio block by block."""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt


def resample(
    blocks: Iterable[npt.NDArray[np.float32]], source_rate: int, rate: int, channels: int = 1
) -> Iterator[npt.NDArray[np.float32]]:
    """Resample blocks of shape (n,) or (n, channels) as one continuous signal (libsoxr, high quality)."""
    if source_rate == rate:
        yield from blocks
        return
    import soxr

    stream = soxr.ResampleStream(source_rate, rate, channels, dtype="float32")
    for block in blocks:
        yield stream.resample_chunk(np.ascontiguousarray(block))
    yield stream.resample_chunk(np.empty(0 if channels == 1 else (0, channels), np.float32), last=True)
