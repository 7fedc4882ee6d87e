"""What a container and a codec say about time: whether timestamps are followed, where the track ends, what an encoder adds."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.stream import Stream

_TIMED = {"mov", "matroska", "webm", "mpegts", "mpeg", "flv", "asf", "ogg", "avi"}
"""Containers with a timestamp of their own for each packet. Timestamps of the others are counted from their bytes."""
_JOINED = {"ogg", "avi"}
"""Containers in which a timestamp that goes back starts another stream, and audio is never there twice."""
_ENDED = {"mov", "flv", "asf", "wav", "w64"}
"""Containers that declare the end of a track more exactly than a packet lasts."""
_DELAYS_DECLARED = {"mov", "matroska", "webm", "ogg"}
"""Containers that declare encoder delay, so that a track's start time lies after it."""
_ADPCM = "adpcm_"

_MP3_DELAY = 1105
"""LAME's 576 samples and the decoder's 529, which every MP3 has."""
_MP2_DELAY = 481
_AC3_DELAY = 256
_OPUS_DELAY = 312
"""Look-ahead of libopus, at 48 kHz."""


def follows_timestamps(container: "InputContainer") -> bool:
    """Return whether timestamps of a container's packets are followed."""
    return bool(_names(container) & _TIMED)


def may_repeat(container: "InputContainer") -> bool:
    """Return whether a timestamp that goes back a little means that the audio is there twice."""
    return not _names(container) & _JOINED


def others_start(container: "InputContainer", stream: "AudioStream", delay: int = 0) -> float | None:
    """Return the earliest start of the other tracks in seconds; None without any. Covers and subtitles do not count.

    Args:
        container: the open file.
        stream: the audio track that is read.
        delay: samples before its audio that its encoder added (`encoder_delay`); other tracks of the codec have as many, unless
            the container may say so.
    """
    from av.stream import Disposition

    if _names(container) & _DELAYS_DECLARED:
        delay = 0
    starts = [
        float(other.start_time * other.time_base) + _delay_seconds(other, stream, delay)
        for other in container.streams
        if other is not stream
        and other.type in ("audio", "video")
        and other.start_time is not None
        and other.time_base
        and not other.disposition & Disposition.attached_pic
    ]
    return min(starts, default=None)


def _delay_seconds(other: "Stream", stream: "AudioStream", delay: int) -> float:
    from av.audio.stream import AudioStream

    if not delay or not isinstance(other, AudioStream) or other.codec_context.name != stream.codec_context.name:
        return 0.0
    return delay / (other.codec_context.sample_rate or stream.codec_context.sample_rate)


def declared_end(container: "InputContainer", stream: "AudioStream", duration: float | None) -> float | None:
    """Return the presentation time in seconds at which the track ends by its header; None if it declares none.

    Args:
        container: the open file.
        stream: its audio track.
        duration: duration of the track in seconds by the header.
    """
    if duration is not None:
        return duration + float((stream.start_time or 0) * (stream.time_base or 0))
    return container.duration / 1e6 if "flv" in _names(container) and container.duration else None


def audio_end(container: "InputContainer", stream: "AudioStream") -> float | None:
    """Return the presentation time in seconds at which a lossy track ends exactly; None if it is not known.

    The last packet of a lossy codec is longer than the audio that was encoded.
    """
    names, codec = _names(container), stream.codec_context.name
    if not names & _ENDED or not is_padded(codec):
        return None
    if "flv" in names:
        return container.duration / 1e6 if container.duration else None
    if stream.duration and stream.time_base:
        return float(((stream.start_time or 0) + stream.duration) * stream.time_base)
    return None


def is_padded(codec: str) -> bool:
    """Return whether a codec's last packet may be longer than the audio."""
    return codec.startswith(("mp3", "mp2", "aac", "ac3", "eac3", "opus", "libopus", _ADPCM))


def encoder_delay(container: "InputContainer", codec: str, header: bytes, first: "AudioFrame") -> int:
    """Return the samples that an encoder put before the audio, where the container does not say.

    What an encoder adds is not in MP3 without a LAME tag, nor in AVI, FLV, WAV, MPEG-TS and others. These values are
    those of the codec, or of the encoder that nearly all files come from; for some files they are too small.

    Args:
        container: the open file.
        codec: libavcodec's name of the decoder.
        header: the first packet's first two bytes.
        first: what the first packet contains.
    """
    if codec.startswith(("mp3", "mp2", "mp1")):
        is_layer_3 = len(header) == 2 and header[1] >> 1 & 3 == 1  # the decoder of MP3 also decodes the other layers
        return _MP3_DELAY if is_layer_3 else _MP2_DELAY
    if codec.startswith("aac"):
        return first.samples  # the transform overlaps by one frame: 1024 samples, with SBR 2048
    if codec.startswith(("ac3", "eac3")):
        return _AC3_DELAY
    if codec in ("wmav1", "wmav2"):
        return wma_delay(codec, first.sample_rate)
    if codec.endswith("opus") and "mpegts" in _names(container):
        return _OPUS_DELAY
    return 0


def wma_delay(codec: str, rate: int) -> int:
    """Return the samples by which Windows Media Audio is late: one frame (libavcodec: `ff_wma_get_frame_len_bits`)."""
    if rate <= 16_000:
        return 512
    if rate <= 22_050 or (rate <= 32_000 and codec == "wmav1"):
        return 1024
    if rate <= 48_000 or codec == "wmav1":
        return 2048
    return 4096 if rate <= 96_000 else 8192


def _names(container: "InputContainer") -> set[str]:
    return set(container.format.name.split(","))
