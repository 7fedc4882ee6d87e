import io

import numpy as np
import pytest

from podcast_assets.audio.decode import decode
from podcast_assets.audio.encode import encode
from podcast_assets.audio.errors import EmptyAudio, NotAudio
from podcast_assets.audio.ingest import make_working_audio
from podcast_assets.audio.working import read_working_audio, write_working_audio
from podcast_assets_tests.audio.conftest import RATE


def test_working_audio_is_what_decode_gives(stereo, tmp_path):
    data = encode(stereo, RATE)
    working = make_working_audio(data, tmp_path / "w.flac")
    samples = read_working_audio(tmp_path / "w.flac") / 32768
    assert len(samples) == working.samples == round(12.3 * 16_000)
    assert working.duration == pytest.approx(12.3, abs=1e-4)
    np.testing.assert_allclose(samples, decode(data), atol=2**-15)


def test_the_same_input_gives_the_same_bytes(stereo, tmp_path):
    data = encode(stereo, RATE, "mp3")
    buffer = io.BytesIO()
    make_working_audio(data, tmp_path / "w.flac")
    make_working_audio(data, buffer)
    assert (tmp_path / "w.flac").read_bytes() == buffer.getvalue()


def test_levels_are_those_of_the_original_channels():
    t = np.arange(RATE * 2) / RATE
    loud = np.clip(1.5 * np.sin(2 * np.pi * 100 * t), -1, 1).astype(np.float32)
    quiet = 0.1 * loud
    working = make_working_audio(encode(np.stack([loud, quiet], axis=1), RATE), io.BytesIO())
    assert working.peak == pytest.approx(1.0, abs=1e-3)
    expected = 1 - 2 / np.pi * np.arcsin(0.99 / 1.5)  # the share of time that |1.5 sin| is above 0.99
    assert working.clipping_share == pytest.approx(expected / 2, rel=0.01)


def test_a_clean_file_has_no_clipping(stereo):
    working = make_working_audio(encode(stereo, RATE), io.BytesIO())
    assert working.clipping_share == 0
    assert working.peak == pytest.approx(np.abs(stereo).max(), abs=1e-3)


def test_too_loud_audio_is_limited_and_does_not_wrap(tmp_path):
    loud = np.linspace(-1.5, 1.5, 16_000, dtype=np.float32)
    write_working_audio([loud], tmp_path / "w.flac")
    np.testing.assert_allclose(read_working_audio(tmp_path / "w.flac") / 32768, np.clip(loud, -1, 1), atol=1e-4)


def test_other_files_are_not_working_audio(stereo):
    with pytest.raises(NotAudio, match="44100 Hz and 2 channels"):
        read_working_audio(encode(stereo, RATE))
    with pytest.raises(NotAudio):
        read_working_audio(b"nothing of the kind")
    buffer = io.BytesIO()
    write_working_audio([], buffer)
    with pytest.raises(EmptyAudio):
        read_working_audio(buffer.getvalue())
