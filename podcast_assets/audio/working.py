"""Working audio, which the speech engines read: mono, 16 kHz, 16-bit FLAC."""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from podcast_assets.audio.errors import EmptyAudio, NotAudio
from podcast_assets.audio.levels import peak
from podcast_assets.audio.source import Source, open_source

WORKING_RATE = 16_000
"""Sample rate of working audio in Hz."""

FULL_SCALE = 32_768
"""Magnitude of the largest 16-bit sample."""


def write_working_audio(blocks: Iterable[npt.NDArray[np.float32]], target: Path | str | BinaryIO) -> int:
    """Write mono blocks of shape (n,) at WORKING_RATE as FLAC; return the number of samples.

    The same samples give the same bytes.
    """
    import soundfile

    samples = 0
    with soundfile.SoundFile(target, "w", samplerate=WORKING_RATE, channels=1, format="FLAC", subtype="PCM_16") as file:
        for block in blocks:
            file.write(to_int16(block))
            samples += len(block)
    return samples


def read_working_audio(source: Source) -> npt.NDArray[np.int16]:
    """Read working audio as 16-bit samples, shape (n,), at WORKING_RATE.

    Raises:
        NotAudio: the file is not working audio.
        EmptyAudio: the file has no samples.
        OSError: the path cannot be opened.
    """
    import soundfile

    with open_source(source) as file:
        try:
            samples, rate = soundfile.read(file, dtype="int16")
        except soundfile.LibsndfileError as error:
            if not file.seek(0, 2):
                raise EmptyAudio("is an empty file (0 bytes)") from None
            raise NotAudio(f"is not working audio that can be read ({error.error_string})") from None
    if rate != WORKING_RATE or samples.ndim != 1:
        channels = 1 if samples.ndim == 1 else samples.shape[1]
        raise NotAudio(f"is not working audio: {rate} Hz and {channels} channels instead of {WORKING_RATE} Hz mono")
    if not len(samples):
        raise EmptyAudio("is working audio without any audio in it")
    return np.asarray(samples, np.int16)


def read_working_audio_blocks(source: Source, seconds: float = 60.0) -> Iterator[npt.NDArray[np.int16]]:
    """Read working audio in blocks of shape (n,) of the given length, without holding all of it in memory.

    Raises:
        NotAudio: the file is not working audio, or cannot be read to its end.
        OSError: the path cannot be opened.
    """
    import soundfile

    with open_source(source) as file:
        try:
            with soundfile.SoundFile(file) as audio:
                if (audio.samplerate, audio.channels) != (WORKING_RATE, 1):
                    raise NotAudio(f"is not working audio: {audio.samplerate} Hz and {audio.channels} channels")
                for block in audio.blocks(int(seconds * WORKING_RATE), dtype="int16"):
                    yield np.array(block, np.int16)  # the next block reuses the memory
        except soundfile.LibsndfileError as error:
            raise NotAudio(f"is not working audio that can be read ({error.error_string})") from None


def to_int16(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
    """Convert float samples to 16 bits, rounded to nearest and clipped to full scale; NaN becomes silence. Any shape."""
    if not math.isfinite(peak(samples)):  # filters turn extreme values of damaged float files into NaN
        samples = np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0).clip(-2.0, 2.0)
    return np.clip(np.rint(samples * np.float32(FULL_SCALE)), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
