"""From what arrives to working audio, in one pass over the file."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from podcast_assets.audio.decode import resample, to_mono
from podcast_assets.audio.headers import Probe
from podcast_assets.audio.levels import clipped_count, peak
from podcast_assets.audio.reader import AudioReader, Planar, open_audio
from podcast_assets.audio.separation import SEPARATION_RATE, Separator, separated
from podcast_assets.audio.source import Source
from podcast_assets.audio.working import WORKING_RATE, write_working


@dataclass(frozen=True, slots=True)
class Working:
    """What was found while working audio was made. Levels are those of the original, before mixing down."""

    probe: Probe
    duration: float
    """Seconds of audio decoded from the original."""
    samples: int
    """Samples of the working audio, at WORKING_RATE."""
    peak: float
    """Largest magnitude in any channel; full scale is 1.0, which lossy formats and float files may pass."""
    clipping_share: float
    """Share of all samples, 0 to 1, at or above CLIP_LEVEL."""
    skipped_packets: int
    """Packets that could not be decoded and are silence now."""


def make_working(source: Source, target: Path | str | BinaryIO, separator: Separator | None = None) -> Working:
    """Decode a media file once and write its working audio to `target`.

    When this raises, `target` may hold a part: write to a temporary name and rename.

    Args:
        source: the media file.
        target: where the working audio goes.
        separator: takes the music out first; None leaves all as it is.

    Raises:
        AudioError: the file is not audio, has no audio track, is truncated, corrupt or empty; see `errors`.
        SeparationFailed: the separator could not do it.
        OSError: a path cannot be opened.
    """
    with open_audio(source) as reader:
        levels = _Levels()
        blocks, rate = levels.over(reader), reader.rate
        if separator is None:
            mono = map(to_mono, blocks)
        else:
            mono, rate = separated(separator, blocks, rate), SEPARATION_RATE
        samples = write_working(resample(mono, rate, WORKING_RATE), target)
        return Working(
            probe=reader.probe,
            duration=reader.samples / reader.rate,
            samples=samples,
            peak=levels.peak,
            clipping_share=levels.clipped / (reader.samples * reader.channels),
            skipped_packets=reader.skipped_packets,
        )


class _Levels:
    """Measures blocks on their way."""

    def __init__(self) -> None:
        self.peak, self.clipped = 0.0, 0

    def over(self, reader: AudioReader) -> Iterator[Planar]:
        for block in reader.blocks():
            self.peak = max(self.peak, peak(block))
            self.clipped += clipped_count(block)
            yield block
