"""Block-wise reading of a media file's audio; all decoding happens here."""

import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import numpy.typing as npt

from podcast_assets.audio.channels import channel_weights, mixer_of
from podcast_assets.audio.declared import is_mp4, ogg_is_finished
from podcast_assets.audio.errors import AudioError, CorruptAudio, EmptyAudio, NoAudioTrack, NotAudio, TruncatedAudio
from podcast_assets.audio.headers import read_probe
from podcast_assets.audio.source import Source, open_source, restore_position
from podcast_assets.audio.tracks import list_tracks

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
_TOLERANCE_SECONDS, _TOLERANCE_SHARE = 1.0, 0.02
_SHORT_SECONDS, _SHORT_MP3_SECONDS, _SHORT_SHARE = 0.2, 0.3, 0.1
"""Allowed shortfall of short files. An MP3 also declares its encoder's delay and padding: at 8 kHz more than 0.2 s."""
_CORRUPT_PACKETS, _CORRUPT_SHARE = 3, 0.01
_SILENCE_SECONDS = 2.0
"""Longest silence that replaces a packet: a damaged header may declare that a packet lasts for years."""

_PLANES = 8  # libavutil's AV_NUM_DATA_POINTERS
SAMPLE_RATES = 2_000, 1_000_000
"""Lowest and highest accepted rate in Hz. A file that declares 1 Hz would become 16,000 times as long at 16 kHz."""

_INTEGER_SCALE = {"u8": 2.0**-7, "s16": 2.0**-15, "s32": 2.0**-31, "s64": 2.0**-63}


class AudioReader:
    """Reader of one audio track of an open media file. Times count samples from the first one decoded."""

    def __init__(self, file: BinaryIO, container: "InputContainer", stream: "AudioStream") -> None:
        self._file, self._container, self._stream = file, container, stream
        self.probe = read_probe(file, container, stream)
        self.rate = self.probe.sample_rate
        self.channels = self.probe.channels
        self.layout: str = stream.codec_context.layout.name
        """libavutil's name of the layout of the channels."""
        self.tracks = list_tracks(container)
        """All audio tracks of the file."""
        self.track = 1 + container.streams.audio.index(stream)
        """Number of the track that is read, counted from 1."""
        self.samples = 0
        """Samples per channel returned so far."""
        self.skipped_packets = 0
        """Packets that could not be decoded so far; silence replaces them except at the end."""
        self._packets = 0
        self._unreadable: str | None = None

    def blocks(self) -> Iterator[Planar]:
        """Yield all audio in blocks of about two seconds, at `rate` and with `channels` throughout.

        If the rate or the channels change midway, as in files with inserted advertisements, the rest is converted to those
        of the beginning.

        Raises:
            TruncatedAudio: after the last block, where the header declares more than 1 s and 2 % beyond it (of files under 10 s:
                more than 0.3 s and 10 %), or an Ogg file has no end mark.
            CorruptAudio: after the last block, where more than 3 packets and 1 % could not be decoded.
            EmptyAudio: there is no audio.
        """
        conform = _FrameConverter(self.rate, self.channels, self.layout)
        for run in _join_frames(self._decode_frames()):
            yield from self._count_samples(conform(run))
        yield from self._count_samples(conform.finish())
        self._check_complete()

    def _count_samples(self, blocks: Iterable[Planar]) -> Iterator[Planar]:
        for block in blocks:
            if block.shape[1]:
                self.samples += block.shape[1]
                yield block

    def _decode_frames(self) -> Iterator["AudioFrame"]:
        from av.error import FFmpegError

        last: AudioFrame | None = None
        silences: list[int] = []  # replace broken packets once audio follows them
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except IndexError:  # PyAV ignores a stream that appears midway, as in MPEG-TS, until demuxing restarts
                packets = self._container.demux(self._stream)
                continue
            except FFmpegError as error:
                self._unreadable = error.strerror or str(error)
                return
            if packet is None:
                return
            self._packets += 1
            try:
                for frame in packet.decode():
                    last = _check_channels(frame)
                    for samples in silences:
                        yield _make_silence(last, samples)
                    silences.clear()
                    yield last
            except FFmpegError:
                self.skipped_packets += 1
                if last is not None and packet.duration and packet.time_base:
                    seconds = min(float(packet.duration * packet.time_base), _SILENCE_SECONDS)
                    if samples := round(max(seconds, 0.0) * last.sample_rate):
                        silences.append(samples)

    def _check_complete(self) -> None:
        if self.skipped_packets > max(_CORRUPT_PACKETS, _CORRUPT_SHARE * self._packets):
            raise CorruptAudio(
                f"{self.skipped_packets} of {self._packets} packets cannot be decoded: the file is damaged"
            )
        seconds, declared = self.samples / self.rate, self.probe.declared_duration
        if declared is not None and seconds < declared - _allowed_shortfall(declared, self.probe.container):
            raise TruncatedAudio(
                f"ends after {seconds:.1f} s of the {declared:.1f} s that its header declares: the file is truncated"
            )
        if self.probe.container == "ogg":
            with restore_position(self._file):
                finished = ogg_is_finished(self._file)
            if not finished:
                raise TruncatedAudio(
                    f"ends after {seconds:.1f} s without the end-of-stream mark of an Ogg file: the file is truncated"
                )
        if self._unreadable:
            raise CorruptAudio(f"cannot be read beyond {seconds:.1f} s ({self._unreadable}): the file is damaged")
        if not self.samples:
            raise EmptyAudio("has an audio track without any audio in it")


def _allowed_shortfall(declared: float, container: str) -> float:
    """Return the seconds by which a complete file may be shorter than its header says."""
    long = max(_TOLERANCE_SECONDS, _TOLERANCE_SHARE * declared)
    least = _SHORT_MP3_SECONDS if container == "mp3" else _SHORT_SECONDS
    return max(least, min(long, _SHORT_SHARE * declared))


@contextmanager
def open_audio(source: Source, track: int | None = None) -> Iterator[AudioReader]:
    """Open an audio or video file, in any container that libavformat reads except playlists, and select an audio track.

    Args:
        source: the media file.
        track: number of the audio track, counted from 1; None for the best one, as libavformat ranks them.

    Raises:
        NotAudio: the file cannot be opened as media.
        NoAudioTrack: the file has no audio track.
        TruncatedAudio: the file is an MP4 without its index.
        EmptyAudio: the file has no bytes.
        OSError: the path cannot be opened.
    """
    import av
    from av.audio.stream import AudioStream
    from av.error import FFmpegError
    from av.stream import Discard

    with open_source(source) as file:
        if not file.seek(0, 2):
            raise EmptyAudio("is an empty file (0 bytes)")
        file.seek(0)
        try:
            container = av.open(
                _SeekSafeFile(file),
                "r",
                container_options={"format_whitelist": _FORMATS},
                metadata_errors="replace",  # tags in Latin-1 are common
                buffer_size=_BUFFER,
            )
        except FFmpegError as error:
            raise _opening_error(file, error) from None
        with container:
            audio = container.streams.audio
            if track is not None and not 1 <= track <= len(audio):
                raise NoAudioTrack(f"has no audio track {track}, only {len(audio)}")
            stream = container.streams.best("audio") if track is None else audio[track - 1]
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
            yield AudioReader(file, container, stream)


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


def _check_channels(frame: "AudioFrame") -> "AudioFrame":
    """Return the frame; refuse planar frames of more than 8 channels, for which PyAV reads invalid memory."""
    if frame.format.is_planar and frame.layout.nb_channels > _PLANES:
        raise CorruptAudio(f"has {frame.layout.nb_channels} channels; at most {_PLANES} can be read")
    return frame


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

    fifo, kind = AudioFifo(), None
    for frame in frames:
        new = (frame.format.name, frame.sample_rate, frame.layout.name)
        if new != kind:
            if run := fifo.read(partial=True):
                yield run
            fifo, kind = AudioFifo(), new
        frame.pts = None  # the fifo requires continuous timestamps, which damaged files lack
        fifo.write(frame)
        if fifo.samples >= _BLOCK_SECONDS * frame.sample_rate and (run := fifo.read()):
            yield run
    if run := fifo.read(partial=True):
        yield run


class _FrameConverter:
    """Converts frames to float32 at one rate and number of channels."""

    def __init__(self, rate: int, channels: int, layout: str) -> None:
        self._rate, self._channels = rate, channels
        self._weight = sum(channel_weights(layout, channels))
        self._resampler: ResampleStream | None = None
        self._resampled_rate = rate

    def __call__(self, run: "AudioFrame") -> Iterator[Planar]:
        if run.sample_rate != self._resampled_rate:
            yield from self.finish()
        block = _to_planar(run)
        if block.shape[0] != self._channels:
            mono = mixer_of(run.layout.name, block.shape[0])(block) / np.float32(
                self._weight
            )  # so that it is mixed to itself
            block = np.repeat(mono[np.newaxis], self._channels, axis=0)
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


def _make_silence(like: "AudioFrame", samples: int) -> "AudioFrame":
    from av import AudioFrame

    frame = AudioFrame(format=like.format, layout=like.layout, samples=samples)
    frame.sample_rate = like.sample_rate
    zero = b"\x80" if like.format.name.startswith("u8") else b"\0"
    for plane in frame.planes:
        plane.update(zero * plane.buffer_size)
    return frame
