"""Conversion of a media file to working audio: in one pass, unless what it finds asks for another downmix."""

import contextlib
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from podcast_assets.audio.cancellation import Cancellation, CancellationMeter
from podcast_assets.audio.channels import channel_weights
from podcast_assets.audio.downmix import Downmix, mix_tracks, open_tracks
from podcast_assets.audio.errors import TooLong
from podcast_assets.audio.headers import Probe
from podcast_assets.audio.levels import CLIP_LEVEL, clipped_count, peak
from podcast_assets.audio.opus_copy import check_opus, opus_writer
from podcast_assets.audio.planar import Planar
from podcast_assets.audio.reader import AudioReader
from podcast_assets.audio.resampling import resample
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
    """Seconds of silence that replace what the container left out; of several tracks, those of the track with the most."""
    retimed: bool = False
    """Whether silence was filled in, or anything left out, so that times are those of the file."""
    warnings: tuple[FileWarning, ...] = ()
    downmix: Downmix | None = None
    """How one channel was made; None where it is the mean of the one or two channels of the best track."""


@dataclass(frozen=True, slots=True)
class OpusCopy:
    """Request for an archive copy of the working audio."""

    target: Path | str | BinaryIO
    """A path, or a file opened for writing and reading."""
    bit_rate: int
    """bit/s."""


Blocks = Iterator[npt.NDArray[np.float32]]
"""Mono audio, each block of shape (n,)."""


def make_working_audio(
    source: Source,
    target: Path | str | BinaryIO,
    separator: Separator | None = None,
    *,
    tracks: Sequence[int] = (),
    opus: OpusCopy | None = None,
    longest: float = math.inf,
    progress: Callable[[], None] = lambda: None,
) -> WorkingAudio:
    """Decode a media file and write its working audio to `target`.

    A file is decoded once. Only one whose channels cancel each other out, or whose mix is too loud, is decoded a second time, to be
    mixed differently. Before a separator, which takes much longer, the file is always decoded for that decision.

    After an error `target` may be incomplete: write to a temporary name and rename.

    Args:
        source: the media file; a path or bytes for several tracks.
        target: file for the working audio.
        separator: removes music first; None changes nothing.
        tracks: audio tracks that are added up, counted from 1; empty for the best one.
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
    asked = Downmix(tuple(tracks))

    def write(mono: Blocks, rate: int) -> int:
        return _write(mono, rate, target, opus)

    first = _Pass(source, asked, longest, progress)
    samples = first.run(write if separator is None else _discard)
    chosen = first.choose_downmix()
    if separator is not None or chosen != asked:
        _rewind(target, opus)
        samples = _Pass(source, chosen, longest, progress).run(write, separator)
    if opus:
        check_opus(opus.target, samples / WORKING_RATE)
    return first.describe(samples, chosen)


class _Pass:
    """One pass over the audio of a file."""

    def __init__(self, source: Source, downmix: Downmix, longest: float, progress: Callable[[], None]) -> None:
        self._source, self._downmix, self._longest, self._progress = source, downmix, longest, progress
        self._readers: list[AudioReader] = []
        self._meters: list[_TrackMeter] = []
        self._mixed_samples, self._mixed_peak = 0, 0.0

    def run(self, use: Callable[[Blocks, int], int], separator: Separator | None = None) -> int:
        """Decode, mix and measure everything, and return what `use` makes of the mono audio and its rate."""
        with open_tracks(self._source, self._downmix.tracks) as readers:
            self._readers, self._meters = readers, [_TrackMeter(reader) for reader in readers]
            blocks = [self._limit_length(m.measure_blocks(), m.reader) for m in self._meters]
            is_plain = self._downmix == Downmix(self._downmix.tracks) and len(readers) == 1 and readers[0].channels <= 2
            if separator is not None and is_plain:  # separators use the differences between two channels
                return use(separate_voice(separator, blocks[0], readers[0].rate), SEPARATION_RATE)
            rate, mixed = mix_tracks(readers, blocks, self._downmix)
            mono = mixed if is_plain else self._measure_mix(mixed)
            if separator is not None:
                return use(separate_voice(separator, (b[np.newaxis] for b in mono), rate), SEPARATION_RATE)
            return use(mono, rate)

    def _limit_length(self, blocks: Iterator[Planar], reader: AudioReader) -> Iterator[Planar]:
        for block in blocks:
            if reader.samples > self._longest * reader.rate:
                raise TooLong(f"is longer than {self._longest / 3600:g} hours (PODCAST_MAX_HOURS)")
            self._progress()
            yield block

    def _measure_mix(self, mixed: Blocks) -> Blocks:
        for block in mixed:
            self._mixed_peak = max(self._mixed_peak, peak(block))
            yield block

    def choose_downmix(self) -> Downmix:
        """Return the downmix that suits what was measured, after a pass with the default one."""
        taken = [meter.cancellation.channel if meter.cancellation else None for meter in self._meters]
        channels = tuple(channel or 0 for channel in taken) if any(taken) else ()
        loud = self._mixed_peak > 1.0 and not (channels and len(channels) == 1)
        return replace(self._downmix, channels=channels, gain=1 / self._mixed_peak if loud else 1.0)

    def describe(self, samples: int, downmix: Downmix) -> WorkingAudio:
        """Return the properties of the working audio, after a pass with the default downmix."""
        readers, reader = self._readers, self._readers[0]
        default = downmix == Downmix() and reader.channels <= 2
        return WorkingAudio(
            probe=reader.probe,
            duration=max(r.samples / r.rate for r in readers),
            samples=samples,
            peak=max(m.peak for m in self._meters),
            clipping_share=sum(m.clipped for m in self._meters) / sum(r.samples * r.channels for r in readers),
            skipped_packets=sum(r.skipped_packets for r in readers),
            retimed=any(r.is_retimed for r in readers),
            gap_seconds=max(r.gap_seconds for r in readers),
            warnings=(*self._file_warnings(), *self._track_warnings(), *self._channel_warnings()),
            downmix=None if default else downmix,
        )

    def _file_warnings(self) -> Iterator[FileWarning]:
        """What the readers found: once where it concerns all tracks, else with the number of the track."""
        for warning, tracks in self._tracks_by_warning().items():
            if len(tracks) == len(self._readers):
                yield warning
            else:
                about = ", ".join(f"track {number}" for number in tracks)
                yield replace(warning, message=f"{about}: {warning.message}")

    def _tracks_by_warning(self) -> dict[FileWarning, list[int]]:
        tracks: dict[FileWarning, list[int]] = {}
        for reader in self._readers:
            for warning in dict.fromkeys(reader.warnings):
                tracks.setdefault(warning, []).append(reader.track)
        return tracks

    def _track_warnings(self) -> Iterator[FileWarning]:
        reader = self._readers[0]
        used = {r.track for r in self._readers}
        if not self._downmix.tracks and (left := [str(t) for t in reader.tracks if t.number not in used]):
            (own,) = (str(t) for t in reader.tracks if t.number == reader.track)
            yield FileWarning(
                "tracks_left_out",
                f"{len(left)} of {len(reader.tracks)} audio tracks left out: {', '.join(left)}; {own} is used. "
                "PODCAST_TRACKS, or the metadata column tracks, chooses: first, mix, episodes or speakers",
            )

    def _channel_warnings(self) -> Iterator[FileWarning]:
        for meter in self._meters:
            if (found := meter.cancellation) is None:
                continue
            of_track = f" of track {meter.reader.track}" if len(self._meters) > 1 else ""
            what = f"the channels{of_track} cancel each other out in {found.share:.0%} of the loud audio"
            if found.channel:
                yield FileWarning("channel_taken", f"{what}: channel {found.channel} was taken instead of their mix")
            else:
                yield FileWarning(
                    "channels_cancel",
                    f"{what}, and no channel has all of it: their mix was taken; listen to the original",
                )


def _write(mono: Blocks, rate: int, target: Path | str | BinaryIO, opus: OpusCopy | None) -> int:
    """Write working audio and its copy; return the samples."""
    with contextlib.ExitStack() as copying:
        working = resample(mono, rate, WORKING_RATE)
        if opus:
            working = copying.enter_context(opus_writer(opus.target, opus.bit_rate)).encode_blocks(working)
        return write_working_audio(working, target)


def _discard(mono: Blocks, rate: int) -> int:
    return sum(len(block) for block in mono)


def _rewind(target: Path | str | BinaryIO, opus: OpusCopy | None) -> None:
    """Empty the files that are written again; paths are opened anew."""
    for file in filter(None, (target, opus and opus.target)):
        if not isinstance(file, str | os.PathLike):
            file.seek(0)
            file.truncate()


class _TrackMeter:
    """Measures the blocks of a track that pass through."""

    def __init__(self, reader: AudioReader) -> None:
        self.reader = reader
        self.peak, self.clipped = 0.0, 0
        several = reader.channels > 1
        weights = channel_weights(reader.layout, reader.channels)
        self._cancellation = CancellationMeter(reader.rate, weights) if several else None

    def measure_blocks(self) -> Iterator[Planar]:
        for block in self.reader.blocks():
            highest = peak(block)
            self.peak = max(self.peak, highest)
            if highest >= CLIP_LEVEL:
                self.clipped += clipped_count(block)
            if self._cancellation:
                self._cancellation.add(block)
            yield block

    @cached_property
    def cancellation(self) -> Cancellation | None:
        """Verdict on its channels, once all are measured; None if there is nothing to say."""
        return self._cancellation.verdict() if self._cancellation else None
