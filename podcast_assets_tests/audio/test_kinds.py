"""The kinds of files that podcasts are published as: videos, several tracks, variable rates, wrong names, a tenth of a second."""

import io
from typing import cast

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream

from podcast_assets.audio.encode import encode
from podcast_assets.audio.errors import NoAudioTrack
from podcast_assets.audio.ingest import OpusCopy, make_working_audio
from podcast_assets.audio.opus_copy import OpusDiffers, check_opus
from podcast_assets.audio.probe import probe
from podcast_assets.audio.working import read_working_audio
from podcast_assets_tests.audio.conftest import RATE, SECONDS, Muxer


def tone(hertz: float, seconds: float, rate: int = RATE) -> np.ndarray:
    return (0.4 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def loudest(source: bytes) -> float:
    """The frequency that is heard most, Hz."""
    out = io.BytesIO()
    made = make_working_audio(source, out)
    samples = read_working_audio(out.getvalue()).astype(np.float64)
    return float(np.argmax(np.abs(np.fft.rfft(samples))) * 16_000 / made.samples)


def several_tracks(*tones: float, bit_rates: tuple[int, ...]) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as out:
        tracks = [cast("AudioStream", out.add_stream("aac", rate=RATE, layout="mono")) for _ in tones]
        for track, hertz, bit_rate in zip(tracks, tones, bit_rates, strict=True):
            track.bit_rate = bit_rate
            frame = av.AudioFrame.from_ndarray(tone(hertz, 3)[None, :], format="fltp", layout="mono")
            frame.sample_rate = RATE
            out.mux([*track.encode(frame), *track.encode(None)])
    return buffer.getvalue()


def test_of_several_tracks_one_is_taken_and_all_are_counted() -> None:
    data = several_tracks(440, 2_000, bit_rates=(128_000, 32_000))
    assert probe(data).audio_streams == 2
    assert loudest(data) == pytest.approx(440, abs=2)


def test_a_variable_bit_rate_keeps_its_length(stereo: np.ndarray) -> None:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp3") as out:
        track = cast(
            "AudioStream",
            out.add_stream(
                "libmp3lame", rate=RATE, layout="stereo", options={"flags": "+qscale", "global_quality": "944"}
            ),
        )
        sound = np.concatenate([stereo, np.zeros_like(stereo), stereo])
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound.T), format="fltp", layout="stereo")
        frame.sample_rate = RATE
        out.mux([*track.encode(frame), *track.encode(None)])
    made = make_working_audio(buffer.getvalue(), io.BytesIO())
    assert made.duration == pytest.approx(3 * SECONDS, abs=0.1)
    assert made.probe.declared_duration == pytest.approx(3 * SECONDS, abs=0.1)


@pytest.mark.parametrize("codec", ["flac", "wav", "opus", "mp3"])
def test_a_tenth_of_a_second(codec) -> None:
    made = make_working_audio(encode(tone(300, 0.1, 16_000), 16_000, codec), io.BytesIO())
    assert made.duration == pytest.approx(0.1, abs=0.06)  # an MP3 begins and ends with a frame of its own
    assert made.samples


def test_a_video_without_sound_says_what_it_has(mux: Muxer) -> None:
    with pytest.raises(NoAudioTrack, match="has no audio track, only: video"):
        make_working_audio(mux("mp4", None, video=True), io.BytesIO())


@pytest.mark.parametrize("seconds", [0.1, 1.0, 12.3])
def test_a_copy_in_opus_lasts_as_long_and_sounds_like_it(tmp_path, seconds: float) -> None:
    target, copy = tmp_path / "w.flac", tmp_path / "c.opus"
    data = encode(tone(440, seconds), RATE)
    made = make_working_audio(data, target, opus=OpusCopy(copy, 24_000))
    check_opus(copy, made.samples / 16_000)
    if seconds == 12.3:
        assert copy.stat().st_size < target.stat().st_size / 2
        assert loudest(copy.read_bytes()) == pytest.approx(440, abs=2)
    first = copy.read_bytes()
    make_working_audio(data, target, opus=OpusCopy(copy, 24_000))
    assert copy.read_bytes() == first


def test_a_copy_in_opus_that_is_cut_off_is_found(tmp_path) -> None:
    copy = tmp_path / "c.opus"
    made = make_working_audio(encode(tone(440, 12), RATE), io.BytesIO(), opus=OpusCopy(copy, 24_000))
    whole = copy.read_bytes()
    copy.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="truncated"):
        check_opus(copy, made.samples / 16_000)
    copy.write_bytes(whole)
    with pytest.raises(OpusDiffers, match=r"lasts 12\.0. s, but 13\.00 s were encoded"):
        check_opus(copy, 13.0)
