"""Encoding segments. The same samples and settings give the same bytes with the same library versions."""

import io
from typing import TYPE_CHECKING, Literal, cast, get_args

import numpy as np
import numpy.typing as npt

from podcast_assets.audio.working import to_int16

if TYPE_CHECKING:
    from av.audio.stream import AudioStream

Codec = Literal["flac", "wav", "opus", "mp3"]

OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)
"""Sample rates that Opus accepts, in Hz (RFC 6716, section 2.1.3)."""
MP3_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
"""Sample rates of MPEG-1, MPEG-2 and MPEG-2.5 layer III, in Hz."""

BIT_RATES = {"opus": 32_000, "mp3": 64_000}
"""Default bit rates in bit/s per channel."""
ENCODERS = {"opus": ("libopus", "ogg"), "mp3": ("libmp3lame", "mp3")}
"""Lossy codec → encoder and container of libav."""
BITEXACT_MUXER = {"fflags": "+bitexact"}
"""Without it, Ogg gets a random serial number, and both containers name the library's version."""
BITEXACT_ENCODER = {
    "opus": {"flags": "+bitexact", "compression_level": "5"},  # of 10; 10 takes three to four times as long
    "mp3": {"flags": "+bitexact"},
}
"""Options of the encoders."""


def encode(samples: npt.NDArray[np.float32], rate: int, codec: Codec = "flac", *, bit_rate: int | None = None) -> bytes:
    """Encode samples and return the bytes of an audio file.

    `flac` and `wav` have 16 bits per sample. `opus` (in Ogg) and `mp3` support certain rates only; audio at other rates
    is resampled to 48 kHz. Decoders of Opus always return 48 kHz.

    Args:
        samples: shape (n,) or (n, channels), float32; full scale is 1.0, and louder samples are clipped. Lossy
            codecs take one or two channels.
        rate: sample rate in Hz.
        codec: the format.
        bit_rate: total bit rate of `opus` or `mp3` in bit/s; by default 32 or 64 kbit/s per channel.

    Raises:
        ValueError: there are no samples, or the codec is unknown or does not support that many channels.
    """
    if not len(samples):
        raise ValueError("there are no samples to encode")
    if codec not in get_args(Codec):
        raise ValueError(f"unknown codec {codec!r}; available: {', '.join(get_args(Codec))}")
    if codec in ("flac", "wav"):
        return _encode_lossless(samples, rate, codec)
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    if channels > 2:
        raise ValueError(f"{codec} supports one or two channels, not {channels}")
    if rate not in (OPUS_RATES if codec == "opus" else MP3_RATES):
        import soxr

        samples, rate = soxr.resample(samples, rate, 48_000), 48_000
    return _encode_lossy(samples, rate, codec, bit_rate or channels * BIT_RATES[codec])


def _encode_lossless(samples: npt.NDArray[np.float32], rate: int, codec: str) -> bytes:
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, to_int16(samples), rate, format=codec.upper(), subtype="PCM_16")
    return buffer.getvalue()


def _encode_lossy(samples: npt.NDArray[np.float32], rate: int, codec: str, bit_rate: int) -> bytes:
    import av

    layout = "mono" if samples.ndim == 1 or samples.shape[1] == 1 else "stereo"
    encoder, container_format = ENCODERS[codec]
    muxing = dict(BITEXACT_MUXER)
    if codec == "opus":
        # libavformat reads 6.5 ms too much from a file of one Ogg page (1 s by default): write at least two
        muxing["page_duration"] = str(min(1_000_000, len(samples) * 500_000 // rate))  # microseconds
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container_format, options=muxing) as container:
        stream = cast(
            "AudioStream", container.add_stream(encoder, rate=rate, layout=layout, options=BITEXACT_ENCODER[codec])
        )
        stream.bit_rate = bit_rate
        frame = av.AudioFrame.from_ndarray(to_int16(samples).reshape(1, -1), format="s16", layout=layout)
        frame.sample_rate = rate
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return buffer.getvalue()
