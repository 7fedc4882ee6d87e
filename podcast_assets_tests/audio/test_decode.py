import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from podcast_assets.audio.decode import decode
from podcast_assets.audio.encode import encode
from podcast_assets.audio.errors import AudioError, CorruptAudio, EmptyAudio, NoAudioTrack, NotAudio
from podcast_assets.audio.reader import open_audio
from podcast_assets_tests.audio.conftest import RATE, Muxer


def decibel(ratio: float) -> float:
    return 20 * np.log10(ratio)


def rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))


def test_stereo_wav_becomes_the_mean_of_its_channels(stereo):
    samples = decode(encode(stereo, RATE, "wav"), rate=RATE)
    assert samples.dtype == np.float32
    np.testing.assert_allclose(samples, stereo.mean(axis=1), atol=1e-4)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_every_sample_format_has_full_scale_at_one(stereo, subtype):
    buffer = io.BytesIO()
    soundfile.write(buffer, stereo, RATE, format="WAV", subtype=subtype)
    samples = decode(buffer.getvalue(), rate=RATE)
    np.testing.assert_allclose(samples, stereo.mean(axis=1), atol=0.01)
    assert abs(decibel(rms(samples) / rms(stereo.mean(axis=1)))) < 0.1


def test_level_of_a_real_recording_equals_soundfiles_own_mean(real_audio: Path):
    expected, rate = soundfile.read(real_audio / "jfk.flac")
    samples = decode(real_audio / "jfk.flac", rate=rate)
    assert len(samples) == len(expected)
    assert abs(decibel(rms(samples) / rms(expected.mean(axis=1)))) < 0.1


@pytest.mark.parametrize(
    ("container", "codec", "rate"),
    [
        ("mp3", "libmp3lame", RATE),
        ("mp4", "aac", RATE),
        ("ogg", "libopus", 48_000),
        ("webm", "libopus", 48_000),
        ("matroska", "libmp3lame", RATE),
        ("adts", "aac", RATE),
        ("mpegts", "aac", RATE),
    ],
)
def test_containers_decode_to_the_same_16_khz_audio(mux: Muxer, stereo, container, codec, rate):
    samples = decode(mux(container, codec, rate=rate))
    reference = decode(encode(stereo, RATE, "wav"))
    assert abs(len(samples) - len(reference)) < 0.1 * 16_000
    assert abs(decibel(rms(samples) / rms(reference))) < 0.6  # LAME lowers what it encodes by 0.45 dB


def test_sound_of_a_video(mux: Muxer, stereo):
    samples = decode(mux("mp4", "aac", video=True))
    assert len(samples) == pytest.approx(len(stereo) / RATE * 16_000, rel=0.01)


def test_path_string_bytes_and_file_give_the_same(tmp_path: Path, stereo):
    data = encode(stereo, RATE)
    path = tmp_path / "a b %03d http:.flac"
    path.write_bytes(data)
    expected = decode(data)
    for source in (path, str(path), io.BytesIO(data)):
        np.testing.assert_array_equal(decode(source), expected)


def test_stream_gives_source_rate_and_channels_in_small_blocks(stereo):
    with open_audio(encode(stereo, RATE)) as reader:
        blocks = [block.T for block in reader.blocks()]
    assert all(b.ndim == 2 and b.shape[1] == 2 for b in blocks)
    assert max(map(len, blocks)) < 3 * RATE
    np.testing.assert_allclose(np.concatenate(blocks), stereo, atol=1e-4)


def test_a_spliced_file_keeps_its_length_where_rate_and_channels_change(stereo):
    mono = stereo[:, 0]
    spliced = encode(stereo, RATE, "mp3") + encode(mono[: 22_050 * 6], 22_050, "mp3") + encode(stereo, RATE, "mp3")
    samples = decode(spliced)
    assert len(samples) / 16_000 == pytest.approx(12.3 + 6 + 12.3, abs=0.3)


def test_not_a_number_in_a_float_file_is_silence(stereo):
    broken = stereo.copy()
    broken[1000:1010] = np.nan
    buffer = io.BytesIO()
    soundfile.write(buffer, broken, RATE, format="WAV", subtype="FLOAT")
    samples = decode(buffer.getvalue(), rate=RATE)
    assert np.isfinite(samples).all()
    assert not samples[1000:1010].any()


def test_a_corrupt_packet_is_skipped_and_what_follows_stays_in_place(mux: Muxer, stereo):
    data = bytearray(mux("mp4", "aac"))
    data[len(data) // 2 : len(data) // 2 + 100] = b"\xff" * 100
    samples = decode(bytes(data), rate=RATE)
    reference = decode(mux("mp4", "aac"), rate=RATE)
    assert len(samples) == len(reference)
    tail = slice(-2 * RATE, None)  # not equal to the bit: AAC puts noise of its own into the bands that it leaves out
    assert np.corrcoef(samples[tail], reference[tail])[0, 1] > 0.999


def test_a_file_of_mostly_corrupt_packets_is_an_error(mux: Muxer):
    data = bytearray(mux("mp4", "aac"))
    for at in range(len(data) // 5, len(data) * 4 // 5, 500):
        data[at : at + 200] = b"\xff" * 200
    with pytest.raises(CorruptAudio, match="packets cannot be decoded"):
        decode(bytes(data))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"<!doctype html><title>404 Not Found</title>" * 50, id="web page"),
        pytest.param(bytes(range(256)) * 40, id="noise"),
    ],
)
def test_other_files_are_not_audio(data):
    with pytest.raises(NotAudio) as caught:
        decode(data)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.m3u8", "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:13\n#EXTINF:13,\n{}\n#EXT-X-ENDLIST\n"),
        ("x.ffconcat", "ffconcat version 1.0\nfile other.ts\n"),
    ],
)
def test_a_playlist_cannot_make_the_decoder_open_other_files(mux: Muxer, tmp_path: Path, name, content):
    other = tmp_path / "other.ts"
    other.write_bytes(mux("mpegts", "aac"))
    (tmp_path / name).write_text(content.format(other))
    with pytest.raises(NotAudio):
        decode(tmp_path / name)


def test_tags_that_are_not_utf8_do_no_harm(mux: Muxer):
    data = mux("mp3", "libmp3lame")
    assert len(decode(data.replace(b"Lavf", b"L\xe4v\xff", 1))) == len(decode(data))


def test_a_silent_video_has_no_audio_track(mux: Muxer):
    with pytest.raises(NoAudioTrack, match="only: video"):
        decode(mux("mp4", None, video=True))


def test_nothing_is_empty():
    with pytest.raises(EmptyAudio, match="0 bytes"):
        decode(b"")


def test_a_header_without_samples_is_empty():
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(0), RATE, format="WAV")
    with pytest.raises(EmptyAudio):
        decode(buffer.getvalue())


def test_a_header_cannot_make_memory_for_years(stereo):
    data = bytearray(encode(stereo, RATE, "wav"))
    data[40:44] = struct.pack("<I", 0x7FFE_FFFF)
    with pytest.raises(AudioError, match="truncated"):
        decode(bytes(data))


def test_a_missing_file_is_an_ordinary_os_error(tmp_path: Path):
    with pytest.raises(FileNotFoundError) as caught:
        decode(tmp_path / "none.mp3")
    assert type(caught.value) is FileNotFoundError
