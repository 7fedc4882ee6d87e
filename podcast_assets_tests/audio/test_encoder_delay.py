"""The first sample is that of the original within 5 ms, and the end within 25 ms, in whatever codec and container."""

import numpy as np
import pytest

from podcast_assets.audio.decode import decode
from podcast_assets_tests.audio.spliced import encoded, noise, rate_of

GRID = {
    "libmp3lame": "mp3 avi flv wav w64 matroska mp4 mov mpegts mpeg asf",
    "mp2": "mp2 avi wav matroska mpegts mpeg",
    "aac": "adts mp4 mov matroska mpegts flv avi asf",
    "libopus": "ogg webm matroska mp4 mpegts",
    "flac": "flac ogg matroska mp4",
    "alac": "mp4 matroska",
    "wmav2": "asf avi wav",
    "wmav1": "asf",
    "adpcm_ima_wav": "wav",
    "adpcm_ms": "wav",
    "adpcm_swf": "flv",
    "adpcm_ima_qt": "mov aiff",
    "ac3": "ac3 mp4 matroska mpegts mpeg avi wav",
    "eac3": "eac3 mp4 mpegts",
    "pcm_s16le": "wav w64 matroska mov avi",
}
PAIRS = [(codec, container) for codec, containers in GRID.items() for container in containers.split()]
SECONDS = 1.72
BLOCK_END = 0.047
"""Windows Media Audio and ADPCM by PyAV end with a whole block of at most 2048 samples, and declare it as audio."""


def first_at(samples: np.ndarray, signal: np.ndarray, rate: int) -> float:
    """Seconds by which the samples are late."""
    size = 1 << (2 * len(signal)).bit_length()
    product = np.fft.irfft(np.fft.rfft(samples, size) * np.conj(np.fft.rfft(signal, size)), size)
    at = int(np.argmax(np.abs(product)))
    return (at - size if at > size // 2 else at) / rate


@pytest.mark.parametrize(("codec", "container"), PAIRS)
def test_start_and_end(codec: str, container: str) -> None:
    rate = rate_of(codec)
    signal = noise(SECONDS, 1, rate)
    options = {"write_xing": "0"} if container == "mp2" else {}
    samples = decode(encoded(signal, container, codec, options, rate=rate), rate=rate)
    assert first_at(samples, signal, rate) == pytest.approx(0, abs=0.005)
    end = BLOCK_END if codec.startswith(("wma", "adpcm")) else 0.025
    assert -0.025 <= (len(samples) - len(signal)) / rate <= end


def test_an_mp3_without_a_tag() -> None:
    signal = noise(SECONDS, 1)
    samples = decode(encoded(signal, "mp3", "libmp3lame", {"write_xing": "0"}), rate=44_100)
    assert first_at(samples, signal, 44_100) == pytest.approx(0, abs=0.005)
