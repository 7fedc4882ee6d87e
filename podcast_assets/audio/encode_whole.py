"""Encoding whole recordings block by block, in constant memory."""

from collections.abc import Iterable
from fractions import Fraction
from typing import TYPE_CHECKING, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from podcast_assets.audio.encode import BIT_RATES, BITEXACT_ENCODER, BITEXACT_MUXER, ENCODERS, Codec
from podcast_assets.audio.working import to_int16

if TYPE_CHECKING:
    from av.audio.stream import AudioStream

Blocks = Iterable[npt.NDArray[np.float32]]

WAV_BYTES = 2**32 - 4096
"""Largest WAV file: its sizes have 32 bits."""


def encode_whole(blocks: Blocks, target: BinaryIO, rate: int, channels: int, codec: Codec) -> int:
    """Write an audio file as `encode` would, in blocks; return the number of samples per channel.

    The same blocks give the same bytes.

    Args:
        blocks: each of shape (n,) or (n, channels), float32; full scale is 1.0, and louder samples are clipped.
        target: a file opened for writing, reading and seeking.
        rate: sample rate in Hz that the codec supports.
        channels: one or two.
        codec: the format.

    Raises:
        ValueError: there are no samples, or too many for a WAV file.
    """
    write = _write_lossless if codec in ("flac", "wav") else _write_lossy
    samples = write(blocks, target, rate, channels, codec)
    if not samples:
        raise ValueError("there are no samples to encode")
    return samples


def _write_lossless(blocks: Blocks, target: BinaryIO, rate: int, channels: int, codec: str) -> int:
    import soundfile

    samples = 0
    with soundfile.SoundFile(
        target, "w", samplerate=rate, channels=channels, format=codec.upper(), subtype="PCM_16"
    ) as file:
        for block in blocks:
            samples += len(block)
            if codec == "wav" and samples * channels * 2 > WAV_BYTES:
                raise ValueError(f"more than {samples / rate / 3600:.1f} h do not fit into a WAV file: use flac")
            file.write(to_int16(block))
    return samples


def _write_lossy(blocks: Blocks, target: BinaryIO, rate: int, channels: int, codec: str) -> int:
    import av

    layout = "mono" if channels == 1 else "stereo"
    encoder, container_format = ENCODERS[codec]
    samples = 0
    with av.open(target, "w", format=container_format, options=BITEXACT_MUXER) as container:
        stream = cast(
            "AudioStream",
            container.add_stream(encoder, rate=rate, layout=layout, options=BITEXACT_ENCODER[codec]),
        )
        stream.bit_rate = channels * BIT_RATES[codec]
        for block in blocks:
            if not len(block):
                continue
            frame = av.AudioFrame.from_ndarray(to_int16(block).reshape(1, -1), format="s16", layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = rate, samples, Fraction(1, rate)
            container.mux(stream.encode(frame))
            samples += len(block)
        container.mux(stream.encode(None))
    return samples
