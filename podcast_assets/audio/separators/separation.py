"""Voice separation: the separator protocol, and processing of recordings of any length in chunks."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np
import numpy.typing as npt

from podcast_assets.audio.reader import Planar

SEPARATION_RATE = 44_100
"""Rate in Hz of the audio that every separator gets and gives: that of the music which the models learned from."""

Stereo = npt.NDArray[np.float32]
"""Audio of shape (n, 2), float32, at SEPARATION_RATE; full scale is 1.0, which a voice without its music may pass."""


class SeparationFailed(RuntimeError):
    """A separator failed on a recording; the message names it and says why."""


class Separator(Protocol):
    """Protocol of a separator: removes music from speech."""

    @property
    def name(self) -> str:
        """Name of its engine, for messages."""
        ...

    def voice(self, chunks: Iterable[Stereo]) -> Iterator[Stereo]:
        """Yield the voice in a recording as a stream: as many samples as went in, none of them shifted.

        Takes `chunks`, of any lengths, only as far as it needs them for what it gives, so that memory does not grow with the
        recording.
        """
        ...


@dataclass(frozen=True, slots=True)
class Chunking:
    """Chunking of a recording for a model that takes a fixed number of samples."""

    length: int
    """Samples of a chunk."""
    margin: int
    """Samples at either end of a chunk that are computed for their context and thrown away: neighbours overlap by two margins."""

    def __post_init__(self) -> None:
        if self.margin < 0 or self.step < 1:
            raise ValueError(f"chunks of {self.length} samples leave nothing between margins of {self.margin}")

    @property
    def step(self) -> int:
        """Number of samples of a chunk that are kept."""
        return self.length - 2 * self.margin


def cut_chunks(blocks: Iterable[Stereo], how: Chunking) -> Iterator[tuple[Stereo, int]]:
    """Cut a recording into chunks, each with how many samples after its first margin are new: `how.step`, fewer in the last.

    The recording is taken to lie in silence.
    """
    chunk, filled = np.zeros((how.length, 2), np.float32), how.margin

    def shifted() -> Stereo:
        fresh = np.zeros_like(chunk)
        fresh[: 2 * how.margin] = chunk[how.step :]
        return fresh

    for block in blocks:
        taken = 0
        while taken < len(block):
            part = block[taken : taken + how.length - filled]
            chunk[filled : filled + len(part)] = part
            taken, filled = taken + len(part), filled + len(part)
            if filled == how.length:
                yield chunk, how.step
                chunk, filled = shifted(), 2 * how.margin
    while filled > how.margin:
        yield chunk, min(filled - how.margin, how.step)
        chunk, filled = shifted(), filled - how.step


def process_in_chunks(
    blocks: Iterable[Stereo],
    how: Chunking,
    model: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]],
    batch: int = 1,
) -> Iterator[Stereo]:
    """Run a recording through a model chunk by chunk; an identity model gives the recording itself, sample for sample.

    Args:
        blocks: the recording, in blocks of any lengths.
        how: the chunks that the model takes.
        model: from chunks of shape (batch, length, 2) to what it makes of them, in the same shape.
        batch: chunks given to the model together, at most.
    """
    chunks = cut_chunks(blocks, how)
    while group := list(islice(chunks, batch)):
        for made, (_, new) in zip(model(np.stack([chunk for chunk, _ in group])), group, strict=True):
            yield made[how.margin : how.margin + new]


def separate_voice(separator: Separator, blocks: Iterable[Planar], rate: int) -> Iterator[npt.NDArray[np.float32]]:
    """Yield the voice of a recording, mono, in blocks of shape (n,) at SEPARATION_RATE.

    Args:
        separator: takes the music out.
        blocks: the recording as it was decoded, shape (channels, n); errors in decoding it pass through as they are.
        rate: of `blocks`, Hz.

    Raises:
        SeparationFailed: the separator failed, or gave another number of samples than it got.
    """
    undecoded: list[Exception] = []
    got = given = 0

    def source() -> Iterator[Stereo]:
        nonlocal got
        try:
            for block in to_stereo(blocks, rate):
                got += len(block)
                yield block
        except Exception as error:
            undecoded.append(error)
            raise

    try:
        for block in separator.voice(source()):
            given += len(block)
            yield block.mean(axis=1)
    except Exception as error:
        if undecoded:
            raise undecoded[0] from None
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise SeparationFailed(
            f"the separator {separator.name} failed with {type(error).__name__}: {reason}"
        ) from error
    if given != got:
        raise SeparationFailed(f"the separator {separator.name} made {given} samples of {got}")


def to_stereo(blocks: Iterable[Planar], rate: int) -> Iterator[Stereo]:
    """Convert blocks of shape (channels, n) to stereo at SEPARATION_RATE (libsoxr, high quality).

    Mono is given to both sides; of more than two channels, both get the mean.
    """
    pairs = map(_make_pair, blocks)
    if rate == SEPARATION_RATE:
        yield from pairs
        return
    import soxr

    stream = soxr.ResampleStream(rate, SEPARATION_RATE, 2, dtype="float32")
    for pair in pairs:
        yield stream.resample_chunk(pair)
    yield stream.resample_chunk(np.empty((0, 2), np.float32), last=True)


def _make_pair(block: Planar) -> Stereo:
    sides = block if len(block) == 2 else np.broadcast_to(block.mean(axis=0), (2, block.shape[1]))
    return np.ascontiguousarray(sides.T)
