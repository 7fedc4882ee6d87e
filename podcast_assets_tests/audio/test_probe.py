import pytest

from podcast_assets.audio.encode import encode
from podcast_assets.audio.errors import NoAudioTrack, NotAudio
from podcast_assets.audio.probe import probe
from podcast_assets_tests.audio.conftest import RATE, Muxer


def test_wav(stereo):
    found = probe(encode(stereo, RATE, "wav"))
    assert (found.container, found.codec, found.sample_rate, found.channels) == ("wav", "pcm_s16le", RATE, 2)
    assert found.bit_rate == RATE * 2 * 16
    assert found.declared_duration == pytest.approx(12.3, abs=0.001)
    assert (found.has_video, found.audio_streams) == (False, 1)


def test_video(mux: Muxer):
    found = probe(mux("mp4", "aac", video=True))
    assert found.codec == "aac"
    assert found.has_video
    assert found.declared_duration == pytest.approx(12.3, abs=0.1)


def test_bare_mp3_declares_no_duration(mux: Muxer):
    assert probe(mux("mp3", "libmp3lame")).declared_duration == pytest.approx(12.3, abs=0.1)
    assert probe(mux("mp3", "libmp3lame", write_xing="0")).declared_duration is None


def test_mp3_behind_a_long_id3_tag(mux: Muxer):
    size = 300_000
    tag = b"ID3\x04\0\0" + bytes([size >> 21 & 127, size >> 14 & 127, size >> 7 & 127, size & 127]) + bytes(size)
    assert probe(tag + mux("mp3", "libmp3lame")).declared_duration == pytest.approx(12.3, abs=0.1)


def test_errors(mux: Muxer):
    with pytest.raises(NotAudio):
        probe(b"not audio" * 100)
    with pytest.raises(NoAudioTrack):
        probe(mux("mp4", None, video=True))
