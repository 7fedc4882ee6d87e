"""Mix of the channels of a track to one.

Of stereo it is the mean. Of more channels it is the mix of ITU-R BS.775-3, table 2, by their layout, without the low-frequency
effects: a voice in the centre keeps its level.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Mono = npt.NDArray[np.float32]
"""Audio of shape (n,), float32; full scale is 1.0."""


@lru_cache(maxsize=64)
def channel_weights(layout: str, channels: int) -> tuple[float, ...]:
    """Return the weight of each channel in the mix.

    Those of more than two channels are libswresample's for the layout. The mean takes their place where the layout is unknown.
    Without a centre, left and right have one half, as in stereo.

    Args:
        layout: libavutil's name, such as `5.1(side)`.
        channels: their number.
    """
    mean = (1.0 / channels,) * channels
    if channels <= 2:
        return mean
    import av
    from av.error import FFmpegError

    try:
        known = av.AudioLayout(layout)
        if any(channel.name == "NONE" for channel in known.channels):
            return mean
        impulses = np.eye(channels, dtype=np.float32).reshape(
            1, -1
        )  # interleaved: a full-scale sample of one channel at a time
        frame = av.AudioFrame.from_ndarray(impulses, format="flt", layout=layout)
        frame.sample_rate = 48_000
        mixer = av.AudioResampler("flt", "mono")
        weights = np.concatenate([f.to_ndarray()[0] for f in (*mixer.resample(frame), *mixer.resample(None))])
    except (FFmpegError, ValueError):
        return mean
    if len(weights) != channels or not weights.any():
        return mean
    names = [channel.name for channel in known.channels]
    if "FC" not in names and "FL" in names:
        weights *= 0.5 / weights[names.index("FL")]
    return tuple(weights.tolist())


def mixer_of(layout: str, channels: int, channel: int = 0) -> Callable[[npt.NDArray[np.float32]], Mono]:
    """Return the function that mixes blocks of a track to one channel.

    Args:
        layout: libavutil's name of the layout.
        channels: number of channels.
        channel: the only channel to take, counted from 1; 0 for all.
    """
    if channel:
        return lambda block: block[channel - 1]
    if channels <= 2:
        return to_mono
    weights = np.array(channel_weights(layout, channels), np.float32)
    return lambda block: weights @ block


def to_mono(block: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Average the channels: shape (channels, n) to (n,)."""
    if len(block) == 2:  # three times as fast as numpy's mean
        mean = block[0] + block[1]
        mean *= 0.5
        return mean
    return block[0] if len(block) == 1 else block.mean(axis=0)
