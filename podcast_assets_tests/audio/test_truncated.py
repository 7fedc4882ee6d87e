"""A file that was cut off is found in every container that says how long it should be."""

import io

import numpy as np
import pytest
import soundfile

from podcast_assets.audio.decode import decode
from podcast_assets.audio.errors import TruncatedAudio
from podcast_assets.audio.ingest import make_working_audio
from podcast_assets_tests.audio.conftest import RATE, Muxer

DECLARING = {
    "mp3 with Xing": ("mp3", "libmp3lame", RATE, {}),
    "mp4 in fragments": ("mp4", "aac", RATE, {"movflags": "frag_keyframe+empty_moov"}),
    "ogg opus": ("ogg", "libopus", 48_000, {}),
    "webm": ("webm", "libopus", 48_000, {}),
    "matroska": ("matroska", "libmp3lame", RATE, {}),
    "flac": ("flac", "flac", RATE, {}),
    "wav": ("wav", "pcm_s16le", RATE, {}),
    "rf64": ("wav", "pcm_s16le", RATE, {"rf64": "always"}),
    "aiff": ("aiff", "pcm_s16be", RATE, {}),
}


@pytest.mark.parametrize("kind", DECLARING)
def test_cut_off(mux: Muxer, kind):
    container, codec, rate, options = DECLARING[kind]
    whole = mux(container, codec, rate=rate, **options)
    assert make_working_audio(whole, io.BytesIO()).duration == pytest.approx(12.3, abs=0.1)
    with pytest.raises(TruncatedAudio, match=r"ends after [67]\.\d s .*truncated"):
        make_working_audio(whole[: len(whole) * 55 // 100], io.BytesIO())


def test_a_one_second_file_that_lacks_its_last_quarter(tmp_path):
    """Its last block is there in part: it is neither audio nor silence."""
    path = tmp_path / "short.flac"
    soundfile.write(path, np.random.default_rng(7).normal(0, 0.1, 16_000), 16_000)
    with pytest.raises(TruncatedAudio, match=r"ends after 0\.8 s of the 1\.0 s"):
        make_working_audio(path.read_bytes()[:-4000], io.BytesIO())


@pytest.mark.parametrize("rate", [8_000, 44_100])
def test_a_short_mp3_is_whole_without_its_encoders_delay(mux: Muxer, rate):
    whole = mux("mp3", "libmp3lame", rate=rate, seconds=0.3)
    assert make_working_audio(whole, io.BytesIO()).duration == pytest.approx(0.3, abs=0.1)


def test_message_says_how_much_is_there(mux: Muxer):
    data = mux("flac", "flac")
    with pytest.raises(TruncatedAudio, match=r"^ends after \d\.\d s of the 12\.3 s that its header declares"):
        decode(data[: len(data) // 2])


def test_mp4_cut_before_its_index(mux: Muxer):
    data = mux("mp4", "aac")
    with pytest.raises(TruncatedAudio, match="moov"):
        decode(data[: len(data) * 55 // 100])


def test_mp4_for_streaming(mux: Muxer, tmp_path):
    import av

    path = tmp_path / "fast.mp4"
    source = io.BytesIO(mux("mp4", "aac"))
    with av.open(source, "r") as whole, av.open(path, "w", options={"movflags": "faststart"}) as out:
        stream = out.add_stream_from_template(whole.streams.audio[0])
        for packet in whole.demux(whole.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    data = path.read_bytes()
    assert len(decode(data)) == pytest.approx(12.3 * 16_000, rel=0.01)
    with pytest.raises(TruncatedAudio, match="truncated"):
        decode(data[: len(data) * 55 // 100])


@pytest.mark.parametrize("cut", range(1, 12))
def test_ogg_wherever_the_cut_falls(mux: Muxer, cut):
    data = mux("ogg", "libopus", rate=48_000)
    with pytest.raises(TruncatedAudio, match="truncated"):
        decode(data[: len(data) * (cut + 80) // 92 - 5])


def test_ogg_cut_between_two_pages(mux: Muxer):
    data = mux("ogg", "libopus", rate=48_000)
    with pytest.raises(TruncatedAudio, match="end-of-stream"):
        decode(data[: data.rfind(b"OggS")])


def test_mp3_without_a_tag_declares_nothing(mux: Muxer):
    data = mux("mp3", "libmp3lame", write_xing="0")
    assert make_working_audio(data[: len(data) // 2], io.BytesIO()).duration == pytest.approx(6.1, abs=0.1)


def test_wav_written_to_a_pipe_declares_nothing(mux: Muxer):
    data = bytearray(mux("wav", "pcm_s16le"))
    at = data.index(b"data") + 4
    data[at : at + 4] = b"\xff" * 4
    assert len(decode(bytes(data))) == pytest.approx(12.3 * 16_000, rel=0.01)


def test_a_missing_half_second_is_tolerated(mux: Muxer):
    data = mux("wav", "pcm_s16le")
    assert len(decode(data[: -RATE * 2])) == pytest.approx(11.8 * 16_000, rel=0.01)


def test_a_film_longer_than_its_sound_is_whole(mux: Muxer):
    for container in ("mp4", "matroska"):
        assert len(decode(mux(container, "aac", video=True))) == pytest.approx(12.3 * 16_000, rel=0.01)
