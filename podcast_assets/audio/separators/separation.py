"""Voice separation: the separator protocol, and processing of recordings of any length in chunks."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np
import numpy.typing as npt

from podcast_assets.audio.planar import Planar
from podcast_assets.common.errors import first_line

SEPARATION_RATE = 44_100
"""Sample rate in Hz of the input and output of every separator, which is that of the music in the models' training data."""

Stereo = npt.NDArray[np.float32]
"""Audio of shape (n, 2), float32, at SEPARATION_RATE; full scale is 1.0, which a separated voice may exceed."""


class SeparationFailed(RuntimeError):
    """A separator failed on a recording; the message names it and says why."""


class Separator(Protocol):
    """Protocol of a separator: removes music from speech."""

    @property
    def name(self) -> str:
        """Name of its engine, for messages."""
        ...

    def voice(self, chunks: Iterable[Stereo]) -> Iterator[Stereo]:
        """Yield the voice of a recording as a stream, with as many samples as the input and no shift.

        Reads `chunks`, of any lengths, only as far as needed, so that memory does not grow with the recording.
        """
        ...


@dataclass(frozen=True, slots=True)
class Chunking:
    """Chunking of a recording for a model that takes a fixed number of samples."""

    length: int
    """Samples of a chunk."""
    margin: int
    """Samples at either end of a chunk that are computed for context and discarded: neighbours overlap by two margins."""

    def __post_init__(self) -> None:
        if self.margin < 0 or self.step < 1:
            raise ValueError(f"chunks of {self.length} samples leave nothing between margins of {self.margin}")

    @property
    def step(self) -> int:
        """Number of samples of a chunk that are used."""
        return self.length - 2 * self.margin


def cut_chunks(blocks: Iterable[Stereo], chunking: Chunking) -> Iterator[tuple[Stereo, int]]:
    """Cut a recording into chunks, each with its number of new samples after the margin: `chunking.step`, fewer in the last one.

    Silence is assumed before and after the recording.
    """
    chunk, filled = np.zeros((chunking.length, 2), np.float32), chunking.margin

    def shifted() -> Stereo:
        fresh = np.zeros_like(chunk)
        fresh[: 2 * chunking.margin] = chunk[chunking.step :]
        return fresh

    for block in blocks:
        taken = 0
        while taken < len(block):
            part = block[taken : taken + chunking.length - filled]
            chunk[filled : filled + len(part)] = part
            taken, filled = taken + len(part), filled + len(part)
            if filled == chunking.length:
                yield chunk, chunking.step
                chunk, filled = shifted(), 2 * chunking.margin
    while filled > chunking.margin:
        yield chunk, min(filled - chunking.margin, chunking.step)
        chunk, filled = shifted(), filled - chunking.step


def process_in_chunks(
    blocks: Iterable[Stereo],
    chunking: Chunking,
    model: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]],
    batch: int = 1,
) -> Iterator[Stereo]:
    """Run a recording through a model chunk by chunk; an identity model gives the recording itself, sample for sample.

    Args:
        blocks: the recording, in blocks of any lengths.
        chunking: length and margin of the model's chunks.
        model: function from chunks of shape (batch, length, 2) to output of the same shape.
        batch: most chunks that the model computes together.
    """
    chunks = cut_chunks(blocks, chunking)
    while group := list(islice(chunks, batch)):
        for made, (_, new) in zip(model(np.stack([chunk for chunk, _ in group])), group, strict=True):
            yield made[chunking.margin : chunking.margin + new]


def separate_voice(separator: Separator, blocks: Iterable[Planar], rate: int) -> Iterator[npt.NDArray[np.float32]]:
    """Yield the voice of a recording, mono, in blocks of shape (n,) at SEPARATION_RATE.

    Args:
        separator: removes music.
        blocks: the decoded recording, shape (channels, n); decoding errors are raised unchanged.
        rate: sample rate of `blocks` in Hz.

    Raises:
        SeparationFailed: the separator failed, or returned a different number of samples.
    """
    decoding_errors: list[Exception] = []
    got = given = 0

    def source() -> Iterator[Stereo]:
        nonlocal got
        try:
            for block in to_stereo(blocks, rate):
                got += len(block)
                yield block
        except Exception as error:
            decoding_errors.append(error)
            raise

    try:
        for block in separator.voice(source()):
            given += len(block)
            yield block.mean(axis=1)
    except Exception as error:
        if decoding_errors:
            raise decoding_errors[0] from None
        reason = first_line(error)
        raise SeparationFailed(
            f"the separator {separator.name} failed with {type(error).__name__}: {reason}"
        ) from error
    if given != got:
        raise SeparationFailed(f"the separator {separator.name} returned {given} samples for {got}")


def to_stereo(blocks: Iterable[Planar], rate: int) -> Iterator[Stereo]:
    """Convert blocks of shape (channels, n) to stereo at SEPARATION_RATE (libsoxr, high quality).

    Mono is copied to both sides; of more than two channels, both sides get the mean.
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
