"""Encode mono audio in file formats of podcasts, with PyAV; the same input gives the same bytes."""

import io
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import soxr
from av.audio.frame import AudioFrame
from av.codec.context import Flags
from av.video.frame import VideoFrame

VIDEO_SIZE = (160, 90)
VIDEO_FRAMES_PER_SECOND = 5


@dataclass(frozen=True)
class Format:
    """A container and its audio encoder."""

    container: str
    codec: str
    rate: int
    layout: str
    bit_rate: int
    video: bool = False
    codec_options: dict[str, str] = field(default_factory=dict)


FORMATS = {
    "mp3": Format("mp3", "libmp3lame", 44_100, "mono", 48_000),
    "m4a": Format("ipod", "aac", 44_100, "stereo", 64_000),
    "mp4": Format("mp4", "aac", 44_100, "mono", 48_000, video=True),
    "opus": Format("ogg", "libopus", 48_000, "mono", 24_000),
}
"""By file extension."""


def encode(audio: npt.NDArray[np.float32], rate: int, to: Format) -> bytes:
    """Return a file with mono `audio` (float32, in [-1, 1]) on every channel."""
    samples = soxr.resample(audio, rate, to.rate).astype(np.float32)
    out = io.BytesIO()
    # bitexact: no encoder version, date or random serial number in the file
    with av.open(out, "w", format=to.container, options={"fflags": "+bitexact"}) as container:
        stream: Any = container.add_stream(to.codec, rate=to.rate, layout=to.layout, options=to.codec_options)
        stream.codec_context.bit_rate = to.bit_rate
        stream.codec_context.flags |= Flags.bitexact
        picture: Any = _video_stream(container) if to.video else None
        packets = list(_audio_packets(stream, samples, to))
        if picture is not None:
            packets += _video_packets(picture, samples.size / to.rate)
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            container.mux(packet)
    return out.getvalue()


def _audio_packets(stream: Any, samples: npt.NDArray[np.float32], to: Format) -> list[Any]:
    """Encode in pieces of one second; the encoder makes its own frames of them."""
    channels = {"mono": 1, "stereo": 2}[to.layout]
    fifo = av.AudioFifo()
    frame = AudioFrame.from_ndarray(np.tile(samples, (channels, 1)), format="fltp", layout=to.layout)
    frame.sample_rate, frame.pts, frame.time_base = to.rate, 0, Fraction(1, to.rate)
    fifo.write(frame)
    resampler = av.AudioResampler(stream.codec_context.format, to.layout, to.rate)
    packets = []
    size = stream.codec_context.frame_size or 1024
    while (piece := fifo.read(size, partial=True)) is not None:
        for ready in resampler.resample(piece):
            packets += stream.encode(ready)
    return packets + stream.encode(None)


def _video_stream(container: Any) -> Any:
    stream = container.add_stream("libx264", rate=VIDEO_FRAMES_PER_SECOND, options={"crf": "30", "threads": "1"})
    stream.width, stream.height = VIDEO_SIZE
    stream.pix_fmt = "yuv420p"
    stream.codec_context.flags |= Flags.bitexact
    return stream


def _video_packets(stream: Any, seconds: float) -> list[Any]:
    """Yield packets of a video of a moving bar, which compresses well."""
    width, height = VIDEO_SIZE
    background = np.linspace(40, 120, width, dtype=np.uint8)[None, :, None].repeat(height, 0).repeat(3, 2)
    packets = []
    for i in range(int(seconds * VIDEO_FRAMES_PER_SECOND)):
        image = background.copy()
        image[height // 3 : 2 * height // 3, (2 * i) % (width - 8) :][:, :8] = 220
        frame = VideoFrame.from_ndarray(image, format="rgb24")
        frame.pts, frame.time_base = i, Fraction(1, VIDEO_FRAMES_PER_SECOND)
        packets += stream.encode(frame)
    return packets + stream.encode(None)
