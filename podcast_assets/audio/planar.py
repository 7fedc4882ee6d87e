"""Decoded frames as blocks of float32 samples of one rate and number of channels."""

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from podcast_assets.audio.channels import channel_weights, mixer_of
from podcast_assets.audio.errors import NotAudio
from podcast_assets.audio.levels import peak

if TYPE_CHECKING:
    from av import AudioFrame
    from soxr import ResampleStream

Planar = npt.NDArray[np.float32]
"""Audio of shape (channels, n), float32; full scale is 1.0."""

SAMPLE_RATES = 2_000, 1_000_000
"""Lowest and highest accepted rate in Hz. A file that declares 1 Hz would become 16,000 times as long at 16 kHz."""

_BLOCK_SECONDS = 2.0
_INTEGER_SCALE = {"u8": 2.0**-7, "s16": 2.0**-15, "s32": 2.0**-31, "s64": 2.0**-63}


def check_rate(rate: int) -> None:
    """Check a declared sample rate.

    Raises:
        NotAudio: it is not accepted.
    """
    lowest, highest = SAMPLE_RATES
    if not lowest <= rate <= highest:
        raise NotAudio(f"declares {rate:,} samples per second; only {lowest:,} to {highest:,} are accepted")


def join_frames(frames: Iterable["AudioFrame"]) -> Iterator["AudioFrame"]:
    """Join small frames to long ones of about _BLOCK_SECONDS, each of one format.

    Each `to_ndarray` costs 25 microseconds, which for an MP3 frame of 26 ms is as much as decoding it.
    """
    from av import AudioFifo

    fifo, samples = AudioFifo(), 0
    first: AudioFrame | None = None  # owns what `layout` refers to
    sample_format, layout, rate = "", None, 0
    for frame in frames:
        # layouts are compared in less than half the time of their names
        if first is None or frame.layout != layout or frame.sample_rate != rate or frame.format.name != sample_format:
            if run := fifo.read(partial=True):
                yield run
            fifo, samples, first = AudioFifo(), 0, frame
            sample_format, layout, rate = frame.format.name, frame.layout, frame.sample_rate
        frame.pts = None  # the fifo requires continuous timestamps, which damaged files lack
        fifo.write(frame)
        samples += frame.samples
        if samples >= _BLOCK_SECONDS * rate:
            samples = 0
            if run := fifo.read():
                yield run
    if run := fifo.read(partial=True):
        yield run


class FrameConverter:
    """Converts frames to float32 at one rate and number of channels.

    Args:
        rate: sample rate of the result in Hz.
        channels: number of channels of the result.
        layout: libavutil's name of their layout.
    """

    def __init__(self, rate: int, channels: int, layout: str) -> None:
        self._rate, self._channels = rate, channels
        self._weight = sum(channel_weights(layout, channels))
        self._resampler: ResampleStream | None = None
        self._resampled_rate = rate

    def __call__(self, run: "AudioFrame") -> Iterator[Planar]:
        """Yield the samples of a frame; if its rate is another one, some of them come later."""
        if run.sample_rate != self._resampled_rate:
            yield from self.finish()
        block = _to_planar(run)
        if block.shape[0] != self._channels:
            mono = mixer_of(run.layout.name, block.shape[0])(block)
            mono /= np.float32(self._weight)  # so that it is mixed to itself
            block = np.repeat(mono[np.newaxis], self._channels, axis=0)
        if run.sample_rate == self._rate:
            yield block
            return
        resampler = self._resampler or self._start_resampler(run.sample_rate)
        yield resampler.resample_chunk(np.ascontiguousarray(block.T)).reshape(-1, self._channels).T

    def _start_resampler(self, rate: int) -> "ResampleStream":
        check_rate(rate)
        import soxr

        self._resampled_rate = rate
        self._resampler = soxr.ResampleStream(rate, self._rate, self._channels, dtype="float32")
        return self._resampler

    def finish(self) -> Iterator[Planar]:
        """Yield the rest of the resampler's output."""
        if self._resampler is not None:
            none = np.zeros((0, self._channels), np.float32)
            yield self._resampler.resample_chunk(none, last=True).reshape(-1, self._channels).T
        self._resampler, self._resampled_rate = None, self._rate


def _to_planar(run: "AudioFrame") -> Planar:
    sample_format, channels = run.format, run.layout.nb_channels
    data = run.to_ndarray()
    if not sample_format.is_planar:
        data = data.reshape(-1, channels).T
    scale = _INTEGER_SCALE.get(sample_format.name.removesuffix("p"))
    if scale is None:
        with np.errstate(over="ignore", invalid="ignore"):  # float files may contain any value, also of 64 bits
            samples = data.astype(np.float32, copy=False)
            finite = math.isfinite(peak(samples))
        if not finite:
            samples = np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0)
        return samples
    samples = data.astype(np.float32)
    if sample_format.name.startswith("u8"):
        samples -= 128.0
    samples *= scale
    return samples
