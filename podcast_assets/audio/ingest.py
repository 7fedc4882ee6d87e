"""Conversion of a media file to working audio in one pass."""

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from podcast_assets.audio.decode import resample, to_mono
from podcast_assets.audio.errors import TooLong
from podcast_assets.audio.headers import Probe
from podcast_assets.audio.levels import clipped_count, peak
from podcast_assets.audio.opus_copy import check_opus, opus_writer
from podcast_assets.audio.reader import AudioReader, Planar, open_audio
from podcast_assets.audio.separators.separation import SEPARATION_RATE, Separator, separate_voice
from podcast_assets.audio.source import Source
from podcast_assets.audio.working import WORKING_RATE, write_working_audio
from podcast_assets.common.warned import FileWarning


@dataclass(frozen=True, slots=True)
class WorkingAudio:
    """Properties found while making working audio. Levels are those of the original, before downmixing."""

    probe: Probe
    duration: float
    """Seconds of the original on its own clock, silence in gaps included."""
    samples: int
    """Samples of the working audio, at WORKING_RATE."""
    peak: float
    """Largest magnitude in any channel; full scale is 1.0, which lossy formats and float files may exceed."""
    clipping_share: float
    """Share of all samples, 0 to 1, at or above CLIP_LEVEL."""
    skipped_packets: int
    """Packets that could not be decoded and were replaced by silence."""
    gap_seconds: float = 0.0
    """Seconds of silence that replace what the container left out."""
    warnings: tuple[FileWarning, ...] = ()


@dataclass(frozen=True, slots=True)
class OpusCopy:
    """Request for an archive copy of the working audio."""

    target: Path | str | BinaryIO
    """A path, or a file opened for writing and reading."""
    bit_rate: int
    """bit/s."""


def make_working_audio(
    source: Source,
    target: Path | str | BinaryIO,
    separator: Separator | None = None,
    *,
    opus: OpusCopy | None = None,
    longest: float = math.inf,
    progress: Callable[[], None] = lambda: None,
) -> WorkingAudio:
    """Decode a media file once and write its working audio to `target`.

    After an error `target` may be incomplete: write to a temporary name and rename.

    Args:
        source: the media file.
        target: file for the working audio.
        separator: removes music first; None changes nothing.
        opus: a copy that is written in the same pass and then verified.
        longest: longest allowed duration in seconds.
        progress: called after each block of about two seconds.

    Raises:
        AudioError: the file is not audio, has no audio track, is truncated, corrupt or empty; see `errors`.
        TooLong: the audio is longer than `longest`.
        OpusDiffers: the copy does not last as long as the audio.
        SeparationFailed: the separator failed.
        OSError: a path cannot be opened.
    """
    with open_audio(source) as reader, contextlib.ExitStack() as copying:
        levels = _LevelMeter()
        blocks, rate = _limit_length(levels.measure_blocks(reader), reader, longest, progress), reader.rate
        if separator is None:
            mono = map(to_mono, blocks)
        else:
            mono, rate = separate_voice(separator, blocks, rate), SEPARATION_RATE
        working = resample(mono, rate, WORKING_RATE)
        if opus:
            working = copying.enter_context(opus_writer(opus.target, opus.bit_rate)).encode_blocks(working)
        samples = write_working_audio(working, target)
        copying.close()
        if opus:
            check_opus(opus.target, samples / WORKING_RATE)
        return WorkingAudio(
            probe=reader.probe,
            duration=reader.samples / reader.rate,
            samples=samples,
            peak=levels.peak,
            clipping_share=levels.clipped / (reader.samples * reader.channels),
            skipped_packets=reader.skipped_packets,
            gap_seconds=reader.gap_seconds,
            warnings=tuple(reader.warnings),
        )


def _limit_length(
    blocks: Iterator[Planar], reader: AudioReader, longest: float, progress: Callable[[], None]
) -> Iterator[Planar]:
    for block in blocks:
        if reader.samples > longest * reader.rate:
            raise TooLong(f"is longer than {longest / 3600:g} hours (PODCAST_MAX_HOURS)")
        progress()
        yield block


class _LevelMeter:
    """Measures the level of blocks that pass through."""

    def __init__(self) -> None:
        self.peak, self.clipped = 0.0, 0

    def measure_blocks(self, reader: AudioReader) -> Iterator[Planar]:
        for block in reader.blocks():
            self.peak = max(self.peak, peak(block))
            self.clipped += clipped_count(block)
            yield block
