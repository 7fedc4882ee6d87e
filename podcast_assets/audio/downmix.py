"""Downmix: which tracks and channels of a file are mixed to one channel, and how loud."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from podcast_assets.audio.channels import Mono, mixer_of
from podcast_assets.audio.planar import Planar
from podcast_assets.audio.reader import AudioReader, open_audio
from podcast_assets.audio.resampling import resample
from podcast_assets.audio.source import Source


@dataclass(frozen=True, slots=True)
class Downmix:
    """What is mixed to one channel. The default takes all channels of the best track."""

    tracks: tuple[int, ...] = ()
    """Audio tracks, counted from 1, that are added up; empty for the best one."""
    channels: tuple[int, ...] = ()
    """Of each track the one channel that is taken, counted from 1, or 0 for all of them; empty for all channels of all tracks."""
    gain: float = 1.0
    """Factor that keeps the sum of more than two channels, or of several tracks, within full scale."""

    @classmethod
    def from_row(cls, row: dict[str, Any] | None) -> Self:
        """Return the downmix of a value of the column `downmix` of `raw_audio`."""
        return cls(tuple(row["tracks"]), tuple(row["channels"]), row["gain"]) if row else cls()

    def channel_of(self, position: int) -> int:
        """Return the channel, counted from 1, that is taken of the track at a position of `tracks`; 0 for all."""
        return self.channels[position] if self.channels else 0


DEFAULT = Downmix()


class AudioBlocks(NamedTuple):
    """Audio of an open file."""

    rate: int
    """Sample rate in Hz: that of the first track."""
    blocks: Iterator[npt.NDArray[np.float32]]
    """Of shape (n,), or (n, channels)."""


@contextmanager
def open_blocks(source: Source, downmix: Downmix = DEFAULT, *, mono: bool = True) -> Iterator[AudioBlocks]:
    """Open a file and read it block by block, mixed to one channel or with the channels of its first chosen track.

    Raises:
        AudioError: at the beginning or while blocks are read: see `open_audio` and `AudioReader.blocks`.
        OSError: the path cannot be opened.
    """
    with open_tracks(source, downmix.tracks if mono else downmix.tracks[:1]) as readers:
        if mono:
            yield mix_tracks(readers, [r.blocks() for r in readers], downmix)
        else:
            yield AudioBlocks(readers[0].rate, (block.T for block in readers[0].blocks()))


@contextmanager
def open_tracks(source: Source, tracks: Sequence[int]) -> Iterator[list[AudioReader]]:
    """Open a file once for each of some tracks, counted from 1, or for the best one if there are none.

    A source of several tracks must be a path or bytes.
    """
    with ExitStack() as files:
        yield [files.enter_context(open_audio(source, track)) for track in tracks or (None,)]


def mix_tracks(readers: Sequence[AudioReader], blocks: Sequence[Iterable[Planar]], downmix: Downmix) -> AudioBlocks:
    """Mix the blocks of open tracks to one channel.

    Args:
        readers: the tracks.
        blocks: the blocks of each, perhaps measured on their way.
        downmix: what to take of them.
    """
    rate = readers[0].rate
    mono = [
        map(mixer_of(reader.layout, reader.channels, downmix.channel_of(i)), planar)
        for i, (reader, planar) in enumerate(zip(readers, blocks, strict=True))
    ]
    mixed = mono[0]
    if len(mono) > 1:
        mixed = _add_up([resample(m, r.rate, rate) for m, r in zip(mono, readers, strict=True)])
    if downmix.gain == 1.0:
        return AudioBlocks(rate, iter(mixed))
    gain = np.float32(downmix.gain)
    return AudioBlocks(rate, (block * gain for block in mixed))


def _add_up(streams: Sequence[Iterator[Mono]]) -> Iterator[Mono]:
    """Add up streams sample by sample; one that ends is silent from there."""
    held: dict[int, Mono] = {i: np.empty(0, np.float32) for i in range(len(streams))}
    while held:
        for i in list(held):
            while not len(held[i]):
                block = next(streams[i], None)
                if block is None:
                    del held[i]
                    break
                held[i] = block
        if held:
            count = min(map(len, held.values()))
            total = np.zeros(count, np.float32)
            for i, block in held.items():
                total += block[:count]
                held[i] = block[count:]
            yield total
