"""Silent frames and parts of frames."""

from typing import TYPE_CHECKING

from podcast_assets.audio.errors import CorruptAudio

if TYPE_CHECKING:
    from av import AudioFrame

_PLANES = 8  # libavutil's AV_NUM_DATA_POINTERS


def pack_planes(frame: "AudioFrame") -> "AudioFrame":
    """Return a frame of 8 planes or more with interleaved channels, others as they are: PyAV reads invalid memory after the 8th.

    Raises:
        CorruptAudio: its layout cannot be converted.
    """
    if not frame.format.is_planar or frame.layout.nb_channels < _PLANES:
        return frame
    from av import AudioResampler
    from av.error import FFmpegError

    try:
        frames = AudioResampler(frame.format.packed.name, frame.layout, frame.sample_rate).resample(frame)
    except (FFmpegError, ValueError) as error:
        raise CorruptAudio(f"has {frame.layout.nb_channels} channels, which cannot be read ({error})") from error
    return frames[0]


def make_silence(like: "AudioFrame", samples: int) -> "AudioFrame":
    """Return a silent frame of the format, layout and rate of another."""
    from av import AudioFrame

    frame = AudioFrame(format=like.format, layout=like.layout, samples=samples)
    frame.sample_rate = like.sample_rate
    zero = b"\x80" if like.format.name.startswith("u8") else b"\0"
    for plane in frame.planes:
        plane.update(zero * plane.buffer_size)
    return frame


def slice_frame(frame: "AudioFrame", start: int, stop: int) -> "AudioFrame":
    """Return samples `start` up to `stop` of a frame, with their own timestamp."""
    from av import AudioFrame

    samples = frame.to_ndarray()
    channels = 1 if frame.format.is_planar else frame.layout.nb_channels
    cut = AudioFrame.from_ndarray(
        samples[:, start * channels : stop * channels].copy(), format=frame.format.name, layout=frame.layout.name
    )
    cut.sample_rate = frame.sample_rate
    if frame.pts is not None and frame.time_base:
        cut.pts = frame.pts + round(start / frame.sample_rate / frame.time_base)
        cut.time_base = frame.time_base
    return cut
