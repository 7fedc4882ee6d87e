"""Archive copy in Opus, verified by decoding it again."""

import fractions
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from podcast_assets.audio.encode import BITEXACT_ENCODER, BITEXACT_MUXER, ENCODERS
from podcast_assets.audio.reader import open_audio
from podcast_assets.audio.working import WORKING_RATE, to_int16

if TYPE_CHECKING:
    from av import AudioFrame
    from av.audio.stream import AudioStream

TOLERANCE_SECONDS = 0.1
"""Tolerance in seconds: Opus has frames of 20 ms and begins with 6.5 ms that are skipped."""


class OpusDiffers(RuntimeError):
    """The Opus copy does not last as long as the audio that was encoded."""


@contextmanager
def opus_writer(target: Path | str | BinaryIO, bit_rate: int) -> Iterator["OpusWriter"]:
    """Open an Opus file for mono blocks at WORKING_RATE; it is complete when the context ends.

    Args:
        target: file for the copy.
        bit_rate: bit rate in bit/s.
    """
    import av

    encoder, container_format = ENCODERS["opus"]
    file = target if hasattr(target, "write") else str(target)
    with av.open(file, "w", format=container_format, options=BITEXACT_MUXER) as container:
        stream = cast(
            "AudioStream",
            container.add_stream(encoder, rate=WORKING_RATE, layout="mono", options=BITEXACT_ENCODER["opus"]),
        )
        stream.bit_rate = bit_rate
        yield OpusWriter(lambda frame: container.mux(stream.encode(frame)))
        container.mux(stream.encode(None))


class OpusWriter:
    """Encodes blocks that pass through."""

    def __init__(self, encode: Callable[["AudioFrame"], object]) -> None:
        self._encode = encode
        self.samples = 0

    def encode_blocks(self, blocks: Iterable[npt.NDArray[np.float32]]) -> Iterator[npt.NDArray[np.float32]]:
        """Yield the blocks unchanged while encoding each."""
        from av import AudioFrame

        for block in blocks:
            if len(block):
                frame = AudioFrame.from_ndarray(to_int16(block).reshape(1, -1), format="s16", layout="mono")
                frame.sample_rate, frame.pts = WORKING_RATE, self.samples
                frame.time_base = fractions.Fraction(1, WORKING_RATE)
                self._encode(frame)
                self.samples += len(block)
            yield block


def check_opus(source: Path | str | BinaryIO, seconds: float) -> None:
    """Decode a whole copy and compare its duration.

    Args:
        source: the Opus file.
        seconds: duration of the encoded audio.

    Raises:
        OpusDiffers: the durations differ by more than TOLERANCE_SECONDS.
        AudioError: the copy cannot be decoded.
    """
    with open_audio(source) as reader:
        for _ in reader.blocks():
            pass
        lasts = reader.samples / reader.rate
    if abs(lasts - seconds) > TOLERANCE_SECONDS:
        raise OpusDiffers(f"its Opus copy lasts {lasts:.2f} s, but {seconds:.2f} s were encoded")
