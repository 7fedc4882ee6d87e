"""Block-wise reading of a media file's audio; all decoding happens here."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from podcast_assets.audio.complete import check_complete
from podcast_assets.audio.errors import CorruptAudio, EmptyAudio, NoAudioTrack, NotAudio, TruncatedAudio
from podcast_assets.audio.frames import make_silence, pack_planes
from podcast_assets.audio.headers import read_probe
from podcast_assets.audio.opening import open_part
from podcast_assets.audio.parts import Part, find_parts
from podcast_assets.audio.planar import FrameConverter, Planar, join_frames
from podcast_assets.audio.source import Source, open_source
from podcast_assets.audio.track_decoder import TrackDecoder
from podcast_assets.audio.tracks import list_tracks
from podcast_assets.common.warned import FileWarning

if TYPE_CHECKING:
    from av import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer

_CORRUPT_PACKETS, _CORRUPT_SHARE = 3, 0.01
_SILENCE_SECONDS = 2.0
"""Longest silence that replaces a packet: a damaged header may declare that a packet lasts for years."""


class AudioReader:
    """Reader of one audio track of an open media file. Times are on the file's clock; see `clock`.

    What follows the end of a complete file, such as a second one that was appended, is read after it.
    """

    def __init__(
        self, parts: list[Part], container: "InputContainer", stream: "AudioStream", track: int | None = None
    ) -> None:
        """Create the reader.

        Args:
            parts: the file's parts.
            container: the first part, opened.
            stream: its track that is read.
            track: number of the track in the parts that follow, counted from 1; None for the best one of each.
        """
        self._parts, self._track = parts, track
        self._first = container, stream
        self.probe = read_probe(parts[0].file, container, stream)
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
        self.gap_seconds = 0.0
        """Seconds of silence that replace what the container left out; complete after the last block."""
        self.is_retimed = len(parts) > 1 or parts[0].wrong_size or parts[0].has_tags_inside
        """Whether the audio differs from all that libavformat decodes, one frame after the other; complete after the last block."""
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
        conform = FrameConverter(self.rate, self.channels, self.layout)
        for run in join_frames(self._read_parts()):
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
                with open_part(part, self._track) as (container, stream):
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
        track = TrackDecoder(container, stream, probe.declared_duration)
        yield from track.place(self._decode_frames(container, track))
        self._packets += track.packets
        self.gap_seconds += track.clock.report.gap
        self.is_retimed |= track.is_retimed
        self.warnings += track.warnings()
        if self._truncated is None:
            found = check_complete(part, probe, track.clock.content_seconds)
            self._truncated = found.truncated
            if found.wrong_header:
                self._warn("wrong_header", found.wrong_header)

    def _decode_frames(self, container: "InputContainer", track: TrackDecoder) -> Iterator["AudioFrame"]:
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
                    last = pack_planes(frame)
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
    with open_source(source) as file:
        if not file.seek(0, 2):
            raise EmptyAudio("is an empty file (0 bytes)")
        parts = find_parts(file)
        with open_part(parts[0], track) as (container, stream):
            yield AudioReader(parts, container, stream, track)
