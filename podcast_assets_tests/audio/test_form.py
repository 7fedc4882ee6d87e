"""What becomes of audio on its way into shards: rate, channels, level, and the very bytes where nothing has to change."""

import hashlib
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from podcast_assets.audio.decode import decode
from podcast_assets.audio.encode import Codec, encode
from podcast_assets.audio.encode_whole import encode_whole
from podcast_assets.audio.form import AudioForm
from podcast_assets.audio.loudness import Levels, emilia_gain, measure_levels
from podcast_assets.audio.probe import probe
from podcast_assets.audio.resampling import resample
from podcast_assets_tests.audio.conftest import RATE

CODECS: list[Codec] = ["flac", "wav", "opus", "mp3"]

IN_ANOTHER_PROCESS = """
import hashlib, sys
import numpy as np
from podcast_assets.audio.encode import encode
from podcast_assets_tests.audio.test_form import whole
samples = np.load(sys.argv[1])
for codec in ("flac", "wav", "opus", "mp3"):
    print(hashlib.sha256(encode(samples, 24_000, codec)).hexdigest())
    print(hashlib.sha256(whole(samples, 24_000, codec)).hexdigest())
"""


def whole(samples: np.ndarray, rate: int, codec: Codec) -> bytes:
    buffer = io.BytesIO()
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    encode_whole(np.array_split(samples, 7), buffer, rate, channels, codec)
    return buffer.getvalue()


def test_another_process_gives_the_same_bytes(stereo: np.ndarray, tmp_path: Path) -> None:
    samples = stereo[: 3 * RATE]
    np.save(tmp_path / "samples.npy", samples)
    done = subprocess.run(
        [sys.executable, "-c", IN_ANOTHER_PROCESS, str(tmp_path / "samples.npy")],
        capture_output=True,
        text=True,
        check=True,
    )
    here = [hashlib.sha256(made(samples, 24_000, c)).hexdigest() for c in CODECS for made in (encode, whole)]
    assert done.stdout.split() == here


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("channels", [1, 2])
def test_a_whole_recording_comes_back_in_place(stereo: np.ndarray, codec: Codec, channels: int) -> None:
    source = stereo[:, 0] if channels == 1 else stereo
    samples = np.concatenate(list(resample(np.array_split(source, 5), RATE, 24_000, channels)))
    data = whole(samples, 24_000, codec)
    assert probe(data).channels == channels
    back, sent = decode(data, rate=24_000), samples if channels == 1 else samples.mean(axis=1)
    assert len(back) == len(sent)
    middle = slice(24_000, 4 * 24_000)
    assert np.corrcoef(back[middle], sent[middle])[0, 1] > 0.99


def test_nothing_to_encode_is_refused() -> None:
    with pytest.raises(ValueError, match="no samples"):
        encode_whole([], io.BytesIO(), 24_000, 1, "flac")


@pytest.mark.parametrize(
    ("codec", "highest", "source", "rate"),
    [
        ("flac", 24_000, 44_100, 24_000),
        ("flac", 24_000, 16_000, 16_000),
        ("flac", 48_000, 22_050, 22_050),
        ("opus", 24_000, 22_050, 16_000),
        ("opus", 48_000, 44_100, 24_000),
        ("mp3", 24_000, 22_050, 22_050),
        ("opus", 24_000, 6_000, 8_000),
    ],
)
def test_the_rate_is_one_that_the_codec_knows_and_not_above_the_source(
    codec: Codec, highest: int, source: int, rate: int
) -> None:
    assert AudioForm(codec, highest).rate_of(source) == rate


def test_channels_are_one_unless_those_of_the_source_are_wanted() -> None:
    assert [AudioForm().channels_of(n) for n in (1, 2, 6)] == [1, 1, 1]
    assert [AudioForm(channels="source").channels_of(n) for n in (1, 2, 6)] == [1, 2, 1]


def test_a_file_that_has_the_form_is_taken_as_it_is() -> None:
    form = AudioForm("mp3", 48_000, "source")
    assert form.takes_as_is("mp3", "mp3float", 44_100, 2)
    assert not form.takes_as_is("mp3", "mp3float", 44_100, 6)
    assert not form.takes_as_is("mov,mp4,m4a,3gp,3g2,mj2", "aac", 44_100, 2)
    assert not AudioForm("mp3", 24_000, "source").takes_as_is("mp3", "mp3float", 44_100, 2)
    assert not AudioForm("mp3", 48_000, "mono").takes_as_is("mp3", "mp3float", 44_100, 2)
    assert not AudioForm("mp3", 48_000, "source", "emilia").takes_as_is("mp3", "mp3float", 44_100, 2)
    assert not AudioForm("opus", 48_000).takes_as_is("ogg", "vorbis", 44_100, 1)
    assert AudioForm("opus", 48_000).takes_as_is("ogg", "opus", 48_000, 1)


def by_emilia(samples: np.ndarray) -> np.ndarray:
    """Emilia's standardization in its own steps: towards -20 dBFS by at most 3 dB, limited, divided by the largest sample."""
    gain = -20 - 20 * np.log10(np.sqrt(np.mean(samples**2)))
    raised = np.clip(samples * 10 ** (np.clip(gain, -3, 3) / 20), -1, 1)
    return raised / np.abs(raised).max()


@pytest.mark.parametrize("level", [0.01, 0.3, 0.9, 2.4])
def test_the_emilia_preset_does_what_emilia_does(stereo: np.ndarray, level: float) -> None:
    samples = np.clip(stereo[:, 0] * np.float32(level / np.abs(stereo[:, 0]).max()), -1, 1)
    gain = emilia_gain(measure_levels(np.array_split(samples, 9)))
    np.testing.assert_allclose(np.clip(samples * gain, -1, 1), by_emilia(samples), atol=1e-6)


def test_quiet_speech_with_a_loud_click_is_limited_as_emilia_does(stereo: np.ndarray) -> None:
    """The one case in which the 3 dB matter: RMS far below the target, peak close to full scale."""
    samples = stereo[:, 1] * np.float32(0.1)
    samples[1000:1010] = 0.95
    gain = emilia_gain(measure_levels([samples]))
    assert gain == pytest.approx(10 ** (3 / 20))
    np.testing.assert_allclose(np.clip(samples * gain, -1, 1), by_emilia(samples), atol=1e-6)


def test_silence_stays_silence() -> None:
    assert measure_levels([]) == Levels(0.0, 0.0)
    assert emilia_gain(measure_levels([np.zeros(100, np.float32)])) == 1.0
