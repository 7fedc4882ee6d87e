import io
from collections.abc import Callable
from typing import cast

import av
import numpy as np
import numpy.typing as npt
import pytest
from av.audio.stream import AudioStream

RATE = 44_100
SECONDS = 12.3

Muxer = Callable[..., bytes]


@pytest.fixture(scope="session")
def stereo() -> npt.NDArray[np.float32]:
    """12.3 s of a sweep on the left and a quieter tone in noise on the right: shape (n, 2), 44.1 kHz."""
    t = np.arange(round(SECONDS * RATE)) / RATE
    noise = np.random.default_rng(1).standard_normal(len(t))
    left = 0.4 * np.sin(2 * np.pi * (100 * t + 60 * t**2))
    right = 0.2 * np.sin(2 * np.pi * 330 * t) + 0.02 * noise
    return np.stack([left, right], axis=1).astype(np.float32)


@pytest.fixture(scope="session")
def mux(stereo: npt.NDArray[np.float32]) -> Muxer:
    """Encode the stereo signal into any container; optionally with a video track, or nothing but one."""

    def build(
        container: str,
        codec: str | None,
        *,
        rate: int = RATE,
        seconds: float = SECONDS,
        video: bool = False,
        **options: str,
    ) -> bytes:
        buffer = io.BytesIO()
        with av.open(buffer, "w", format=container, options=options) as out:
            picture = out.add_stream("mpeg4", rate=5, width=64, height=48, pix_fmt="yuv420p") if video else None
            sound = cast(AudioStream, out.add_stream(codec, rate=rate, layout="stereo")) if codec else None
            if picture:
                for _ in range(round(5 * SECONDS)):
                    image = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
                    out.mux(picture.encode(image))
                out.mux(picture.encode(None))
            if sound:
                frame = av.AudioFrame.from_ndarray(
                    np.ascontiguousarray(stereo[: round(seconds * RATE)].T), format="fltp", layout="stereo"
                )
                frame.sample_rate = RATE
                out.mux(sound.encode(frame))
                out.mux(sound.encode(None))
        return buffer.getvalue()

    return build
