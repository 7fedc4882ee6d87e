"""Opening of media files by libavformat."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from podcast_assets.audio.declared import is_mp4
from podcast_assets.audio.errors import AudioError, NoAudioTrack, NotAudio, TruncatedAudio
from podcast_assets.audio.parts import Part
from podcast_assets.audio.planar import check_rate

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer

_FORMATS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dsf,eac3,flac,flv,matroska,mov,mp3,mpeg,mpegts,ogg,rm,tta,voc,w64,wav,wv"
)
"""Allowed demuxers. Playlists (hls, dash, concat) are left out, because they open other files and URLs."""
_BUFFER = 1 << 18


@contextmanager
def open_part(part: Part, track: int | None = None) -> Iterator[tuple["InputContainer", "AudioStream"]]:
    """Open a media file and select an audio track.

    Args:
        part: the file.
        track: number of the audio track, counted from 1; None for the best one, as libavformat ranks them.

    Raises:
        NotAudio: the file cannot be opened as media.
        NoAudioTrack: the file has no audio track, or not so many.
        TruncatedAudio: the file is an MP4 without its index.
    """
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
        check_rate(stream.codec_context.sample_rate)
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


def _opening_error(file: BinaryIO, error: Exception) -> AudioError:
    if is_mp4(file):
        return TruncatedAudio("is an MP4 file without its index (moov), which comes last: the file is truncated")
    return NotAudio(f"is not an audio or video file that can be read ({getattr(error, 'strerror', error)})")
