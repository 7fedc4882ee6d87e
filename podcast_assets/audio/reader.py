"""Block-wise reading of a media file's audio; all decoding happens here."""

import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import numpy.typing as npt

from podcast_assets.audio.complete import check_complete
from podcast_assets.audio.declared import is_mp4
from podcast_assets.audio.errors import AudioError, CorruptAudio, EmptyAudio, NoAudioTrack, NotAudio, TruncatedAudio
from podcast_assets.audio.frames import make_silence
from podcast_assets.audio.headers import read_probe
from podcast_assets.audio.parts import Part, find_parts
from podcast_assets.audio.source import Source, open_source
from podcast_assets.audio.track import Track
from podcast_assets.common.warned import FileWarning

if TYPE_CHECKING:
    from av import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from soxr import ResampleStream

Planar = npt.NDArray[np.float32]
"""Audio of shape (channels, n), float32; full scale is 1.0."""

_FORMATS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dsf,eac3,flac,flv,matroska,mov,mp3,mpeg,mpegts,ogg,rm,tta,voc,w64,wav,wv"
)
"""Allowed demuxers. Playlists (hls, dash, concat) are left out, because they open other files and URLs."""

_BUFFER = 1 << 18
_BLOCK_SECONDS = 2.0
_CORRUPT_PACKETS, _CORRUPT_SHARE = 3, 0.01
_SILENCE_SECONDS = 2.0
"""Longest silence that replaces a packet: a damaged header may declare that a packet lasts for years."""

_PLANES = 8  # libavutil's AV_NUM_DATA_POINTERS
SAMPLE_RATES = 2_000, 1_000_000
"""Lowest and highest accepted rate in Hz. A file that declares 1 Hz would become 16,000 times as long at 16 kHz."""

_INTEGER_SCALE = {"u8": 2.0**-7, "s16": 2.0**-15, "s32": 2.0**-31, "s64": 2.0**-63}


class AudioReader:
    """Reader of the best audio track of an open media file. Times are on the file's clock; see `clock`.

    What follows the end of a complete file, such as a second one that was appended, is read after it.
    """

    def __init__(self, parts: list[Part], container: "InputContainer", stream: "AudioStream") -> None:
        self._parts = parts
        self._first = container, stream
        self.probe = read_probe(parts[0].file, container, stream)
        self.rate = self.probe.sample_rate
        self.channels = self.probe.channels
        self.samples = 0
        """Samples per channel returned so far."""
        self.skipped_packets = 0
        """Packets that could not be decoded so far; silence replaces them except at the end."""
        self.gap_seconds = 0.0
        """Seconds of silence that replace what the container left out; complete after the last block."""
        self.warnings: list[FileWarning] = []
        """What deserves a look; complete after the last block."""
        self._packets = 0
        self._unreadable: str | None = None
        self._truncated: str | None = None

    def blocks(self) -> Iterator[Planar]:
        """Yield all audio in blocks of about two seconds, at `rate` and with `channels` throughout.

        If the rate or the channels change midway, as in files with inserted advertisements, the rest is converted to those
        of the beginning.

        Raises:
            TruncatedAudio: after the last block, where bytes are missing: more than 1 s and 2 % of what the header declares (of
                files under 10 s: more than 0.3 s and 10 %), or an Ogg file has no end mark.
            CorruptAudio: after the last block, where more than 3 packets and 1 % could not be decoded.
            EmptyAudio: there is no audio.
        """
        conform = _FrameConverter(self.rate, self.channels)
        for run in _join_frames(self._read_parts()):
            yield from self._count_samples(conform(run))
        yield from self._count_samples(conform.finish())
        self._check_complete()

    def _count_samples(self, blocks: Iterable[Planar]) -> Iterator[Planar]:
        for block in blocks:
            if block.shape[1]:
                self.samples += block.shape[1]
                yield block

    def _read_parts(self) -> Iterator["AudioFrame"]:
        yield from self._read_part(self._parts[0], *self._first)
        read = 1
        for part in self._parts[1:]:
            try:
                with _open_part(part) as (container, stream):
                    yield from self._read_part(part, container, stream)
                    read += 1
            except TruncatedAudio as error:
                self._truncated = str(error)
            except (NotAudio, NoAudioTrack) as error:
                self._warn("wrong_header", f"a part of it that follows its end was not read: it {error}")
        if read > 1:
            self._warn("wrong_header", f"{read} files are joined in it; they are read one after the other")

    def _read_part(self, part: Part, container: "InputContainer", stream: "AudioStream") -> Iterator["AudioFrame"]:
        probe = self.probe if part is self._parts[0] else read_probe(part.file, container, stream)
        track = Track(container, stream, probe.declared_duration)
        yield from track.place(self._decode_frames(container, track))
        self._packets += track.packets
        self.gap_seconds += track.clock.report.gap
        self.warnings += track.warnings()
        if self._truncated is None:
            found = check_complete(part, probe, track.clock.content_seconds)
            self._truncated = found.truncated
            if found.wrong_header:
                self._warn("wrong_header", found.wrong_header)

    def _decode_frames(self, container: "InputContainer", track: Track) -> Iterator["AudioFrame"]:
        from av.error import FFmpegError

        last: AudioFrame | None = None
        silences: list[int] = []  # replace broken packets once audio follows them
        packets = container.demux(track.stream)
        while True:
            try:
                packet = next(packets, None)
            except IndexError:  # PyAV ignores a stream that appears midway, as in MPEG-TS, until demuxing restarts
                packets = container.demux(track.stream)
                continue
            except FFmpegError as error:
                self._unreadable = error.strerror or str(error)
                return
            if packet is None:
                return
            try:
                for frame in track.decode(packet):
                    if frame.layout.nb_channels > _PLANES and frame.format.is_planar:
                        raise _too_many_channels(frame)
                    last = frame
                    if silences:
                        for samples in silences:
                            yield make_silence(last, samples)
                        silences.clear()
                    yield last
            except FFmpegError:
                self.skipped_packets += 1
                if last is not None and packet.duration and packet.time_base:
                    seconds = min(float(packet.duration * packet.time_base), _SILENCE_SECONDS)
                    if samples := round(max(seconds, 0.0) * last.sample_rate):
                        silences.append(samples)

    def _warn(self, kind: str, message: str) -> None:
        self.warnings.append(FileWarning(kind, message))

    def _check_complete(self) -> None:
        seconds = self.samples / self.rate
        if self.skipped_packets > max(_CORRUPT_PACKETS, _CORRUPT_SHARE * self._packets):
            raise CorruptAudio(
                f"{self.skipped_packets} of {self._packets} packets cannot be decoded: the file is damaged"
            )
        if self._truncated:
            raise TruncatedAudio(self._truncated)
        if self._unreadable:
            raise CorruptAudio(f"cannot be read beyond {seconds:.1f} s ({self._unreadable}): the file is damaged")
        if not self.samples:
            raise EmptyAudio("has an audio track without any audio in it")


@contextmanager
def open_audio(source: Source) -> Iterator[AudioReader]:
    """Open an audio or video file, in any container that libavformat reads except playlists, and select its best audio track.

    Raises:
        NotAudio: the file cannot be opened as media.
        NoAudioTrack: the file has no audio track.
        TruncatedAudio: the file is an MP4 without its index.
        EmptyAudio: the file has no bytes.
        OSError: the path cannot be opened.
    """
    with open_source(source) as file:
        if not file.seek(0, 2):
            raise EmptyAudio("is an empty file (0 bytes)")
        parts = find_parts(file)
        with _open_part(parts[0]) as (container, stream):
            yield AudioReader(parts, container, stream)


@contextmanager
def _open_part(part: Part) -> Iterator[tuple["InputContainer", "AudioStream"]]:
    import av
    from av.audio.stream import AudioStream
    from av.error import FFmpegError
    from av.stream import Discard

    part.file.seek(0)
    try:
        container = av.open(
            _SeekSafeFile(part.file),
            "r",
            options=part.options,
            container_options={"format_whitelist": _FORMATS},
            metadata_errors="replace",  # tags in Latin-1 are common
            buffer_size=_BUFFER,
        )
    except FFmpegError as error:
        raise _opening_error(part.file, error) from None
    with container:
        stream = container.streams.best("audio")
        if not isinstance(stream, AudioStream):
            kinds = sorted({s.type for s in container.streams})
            raise NoAudioTrack(f"has no audio track, only: {', '.join(kinds) or 'nothing'}")
        if stream.codec_context is None:
            raise NotAudio("has an audio track in a format that cannot be decoded")
        if not stream.codec_context.sample_rate or not stream.codec_context.channels:
            raise NotAudio("has an audio track whose sample rate or channels cannot be determined")
        _check_rate(stream.codec_context.sample_rate)
        for other in container.streams:
            if other is not stream:
                other.discard = Discard.all
        yield container, stream


class _SeekSafeFile:
    """File wrapper for libavformat that reports a seek before the beginning as bad data, not as a disk error."""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.tell, self._seek = file.read, file.tell, file.seek

    def seek(self, offset: int, whence: int = 0) -> int:
        """Return the new position, or a libavformat error code."""
        try:
            return self._seek(offset, whence)
        except (ValueError, OverflowError):
            return -errno.EINVAL
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            return -errno.EINVAL


def _too_many_channels(frame: "AudioFrame") -> CorruptAudio:
    """Return the error for planar frames of more than 8 channels, for which PyAV reads invalid memory."""
    return CorruptAudio(f"has {frame.layout.nb_channels} channels; at most {_PLANES} can be read")


def _check_rate(rate: int) -> None:
    lowest, highest = SAMPLE_RATES
    if not lowest <= rate <= highest:
        raise NotAudio(f"declares {rate:,} samples per second; only {lowest:,} to {highest:,} are accepted")


def _opening_error(file: BinaryIO, error: Exception) -> AudioError:
    if is_mp4(file):
        return TruncatedAudio("is an MP4 file without its index (moov), which comes last: the file is truncated")
    return NotAudio(f"is not an audio or video file that can be read ({getattr(error, 'strerror', error)})")


def _join_frames(frames: Iterable["AudioFrame"]) -> Iterator["AudioFrame"]:
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


class _FrameConverter:
    """Converts frames to float32 at one rate and number of channels."""

    def __init__(self, rate: int, channels: int) -> None:
        self._rate, self._channels = rate, channels
        self._resampler: ResampleStream | None = None
        self._resampled_rate = rate

    def __call__(self, run: "AudioFrame") -> Iterator[Planar]:
        if run.sample_rate != self._resampled_rate:
            yield from self.finish()
        block = _to_planar(run)
        if block.shape[0] != self._channels:
            block = np.repeat(block.mean(axis=0, keepdims=True), self._channels, axis=0)
        if run.sample_rate == self._rate:
            yield block
            return
        resampler = self._resampler or self._start_resampler(run.sample_rate)
        yield resampler.resample_chunk(np.ascontiguousarray(block.T)).reshape(-1, self._channels).T

    def _start_resampler(self, rate: int) -> "ResampleStream":
        _check_rate(rate)
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
            finite = np.isfinite(samples.sum())
        if not finite:
            samples = np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0)
        return samples
    samples = data.astype(np.float32)
    if sample_format.name.startswith("u8"):
        samples -= 128.0
    samples *= scale
    return samples
