"""Headers of an open media file."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from podcast_assets.audio.containers import matroska_has_duration
from podcast_assets.audio.declared import mp3_declared_duration, wav_declared_duration
from podcast_assets.audio.source import restore_position

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer

_DECLARING = {"mov", "flac", "aiff", "caf", "asf", "w64", "tta", "ape", "wv"}
"""Containers whose header declares the duration of each track, as reported by libavformat."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Declared properties of a media file and its best audio track."""

    container: str
    """libavformat's name, such as `mp3`, `ogg`, `mov,mp4,m4a,3gp,3g2,mj2`."""
    codec: str
    """libavcodec's name of the decoder, such as `mp3float`, `aac`, `opus`."""
    sample_rate: int
    """Sample rate in Hz."""
    channels: int
    bit_rate: int | None
    """Bit rate of the audio track in bit/s, or of the file if the track's is unknown."""
    declared_duration: float | None
    """Duration of the audio track in seconds by the header; None if undeclared."""
    has_video: bool
    """Whether there are moving pictures; a cover image does not count."""
    audio_streams: int


def read_probe(file: BinaryIO, container: "InputContainer", stream: "AudioStream") -> Probe:
    """Return the `Probe` of an open container and its chosen audio track."""
    from av.stream import Disposition

    return Probe(
        container=container.format.name,
        codec=stream.codec_context.name,
        sample_rate=stream.codec_context.sample_rate,
        channels=stream.codec_context.channels,
        bit_rate=stream.codec_context.bit_rate or container.bit_rate or None,
        declared_duration=_declared_duration(file, container, stream),
        has_video=any(not s.disposition & Disposition.attached_pic for s in container.streams.video),
        audio_streams=len(container.streams.audio),
    )


def _declared_duration(file: BinaryIO, container: "InputContainer", stream: "AudioStream") -> float | None:
    names = set(container.format.name.split(","))
    with restore_position(file):
        if "wav" in names:
            return wav_declared_duration(file)
        if "mp3" in names:
            return mp3_declared_duration(file, stream.codec_context.sample_rate)
    if "matroska" in names:
        with restore_position(file):
            return _matroska_duration(container, stream, has_duration=matroska_has_duration(file))
    if names & _DECLARING and stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return None


def _matroska_duration(container: "InputContainer", stream: "AudioStream", *, has_duration: bool) -> float | None:
    """Return the track's end from the DURATION tag that muxers write, else the file's, minus the track's start."""
    if match := re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)\0?", stream.metadata.get("DURATION", ""), re.ASCII):
        end = int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3])
    elif has_duration and container.duration and not container.streams.video:  # a video may be longer than its audio
        end = container.duration / 1e6
    else:
        return None
    start = float(stream.start_time * stream.time_base) if stream.start_time and stream.time_base else 0.0
    return end - max(start, 0.0)
