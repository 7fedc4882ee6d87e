"""One channel out of two and more: channels that cancel each other out, surround sound, several tracks."""

import io
from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from typing import cast

import av
import numpy as np
import numpy.typing as npt
import pytest
from av.audio.stream import AudioStream

from podcast_assets import demo
from podcast_assets.audio.cut import cut_segments
from podcast_assets.audio.decode import decode
from podcast_assets.audio.downmix import Downmix
from podcast_assets.audio.encode import encode
from podcast_assets.audio.ingest import OpusCopy, WorkingAudio, make_working_audio
from podcast_assets.audio.separators.separation import Stereo
from podcast_assets.audio.working import read_working_audio
from podcast_assets_tests.audio.spliced import found_at, outside, remuxed

RATE = 24_000
Sound = npt.NDArray[np.float32]


@cache
def speech() -> Sound:
    """Ten seconds of speech with a peak of about 0.5."""
    return decode(demo.BATCH / "night-science.mp3", rate=RATE)[: 10 * RATE]


def noise(level: float, seed: int = 0) -> Sound:
    return (level * np.random.default_rng(seed).standard_normal(len(speech()))).astype(np.float32)


def ingest(data: bytes) -> tuple[WorkingAudio, Sound]:
    target = io.BytesIO()
    made = make_working_audio(data, target)
    return made, (read_working_audio(target.getvalue()) / 32768).astype(np.float32)


def stereo(left: Sound, right: Sound, codec: str = "flac") -> bytes:
    return encode(np.stack([left, right], axis=1), RATE, codec)  # type: ignore[arg-type]


def decibels(samples: Sound, than: Sound | None = None) -> float:
    """Level, relative to the speech."""
    reference = speech() if than is None else than
    return float(10 * np.log10(np.mean(np.square(samples)) / np.mean(np.square(reference))))


def kinds(made: WorkingAudio) -> list[str]:
    return [warning.kind for warning in made.warnings]


def inverted_from(second: float, until: float = 10) -> Sound:
    result = speech().copy()
    result[round(second * RATE) : round(until * RATE)] *= -1
    return result


INVERTED = [
    ("whole", "flac"),
    ("whole", "mp3"),
    ("whole", "opus"),
    ("0.95", "flac"),
    ("noisy", "flac"),
    ("delayed", "flac"),
]


@pytest.mark.parametrize(("name", "codec"), INVERTED)
def test_an_inverted_channel_does_not_silence_speech(name: str, codec: str) -> None:
    right = {
        "whole": -speech(),
        "0.95": -0.95 * speech(),
        "noisy": -speech() + noise(0.003),
        "delayed": -np.roll(speech(), 2),
    }[name]
    made, working = ingest(stereo(speech(), right, codec))
    assert decibels(working) == pytest.approx(0, abs=0.7)
    assert kinds(made) == ["channel_taken"]
    assert made.downmix is not None


@pytest.mark.parametrize(("start", "end"), [(6, 10), (0, 1.5), (4, 5.5)])
def test_a_channel_inverted_in_part_is_not_mixed(start: float, end: float) -> None:
    made, working = ingest(stereo(speech(), inverted_from(start, end)))
    part = slice(round(start * 16_000), round(end * 16_000))
    there = speech()[round(start * RATE) : round(end * RATE)]
    assert decibels(working[part], there) == pytest.approx(0, abs=1.2)
    assert kinds(made) == ["channel_taken"]


def test_the_louder_channel_is_taken() -> None:
    made, working = ingest(stereo(-0.6 * speech(), speech()))
    assert made.downmix is not None and made.downmix.channels == (2,)
    assert decibels(working) == pytest.approx(0, abs=0.2)


ORDINARY = {
    "dual mono": (lambda: (speech(), speech()), 0.0),
    "one side silent": (lambda: (speech(), np.zeros_like(speech())), -6.02),
    "a voice on each side": (lambda: (speech() * on_off(), speech() * (1 - on_off())), -6.02),
    "noise of its own on each side": (lambda: (speech() + noise(0.01), speech() + noise(0.01, 1)), 0.0),
    "hum that cancels out": (lambda: (speech() + hum(), speech() - hum()), 0.0),
    "an offset that cancels out": (lambda: (speech() + np.float32(0.2), speech() - np.float32(0.2)), 0.0),
    "partly inverted, 11 dB down": (lambda: (speech(), -0.44 * speech()), -11.06),
}


def on_off() -> Sound:
    return (np.arange(len(speech())) // (2 * RATE) % 2).astype(np.float32)


def hum() -> Sound:
    return (0.05 * np.sin(2 * np.pi * 50 / RATE * np.arange(len(speech())))).astype(np.float32)


@pytest.mark.parametrize("name", ORDINARY)
def test_stereo_stays_the_mean(name: str) -> None:
    build, level = ORDINARY[name]
    made, working = ingest(stereo(*build()))
    assert (made.downmix, kinds(made)) == (None, [])
    assert decibels(working) == pytest.approx(level, abs=0.3)


def test_where_no_channel_has_all_speech_the_mean_stays_and_says_so() -> None:
    until, sides = 7 * RATE, on_off()
    left, right = speech().copy(), inverted_from(7).copy()
    left[:until] *= sides[:until]
    right[:until] *= 1 - sides[:until]
    made, _ = ingest(stereo(left, right))
    assert (made.downmix, kinds(made)) == (None, ["channels_cancel"])


def test_shards_are_cut_from_the_channel_that_was_taken_unless_they_have_those_of_the_source() -> None:
    data = stereo(speech(), -speech())
    made, _ = ingest(data)
    assert made.downmix is not None
    (segment,) = cut_segments(data, [(1.0, 4.0)], downmix=made.downmix)
    np.testing.assert_allclose(segment, speech()[RATE : 4 * RATE], atol=1e-4)
    (both,) = cut_segments(data, [(1.0, 4.0)], downmix=made.downmix, mono=False)
    np.testing.assert_allclose(both[:, 1], -speech()[RATE : 4 * RATE], atol=1e-4)


def test_the_copy_in_opus_is_of_the_same_channel() -> None:
    copy = io.BytesIO()
    make_working_audio(stereo(speech(), -speech()), io.BytesIO(), opus=OpusCopy(copy, 24_000))
    assert decibels(decode(copy.getvalue())) == pytest.approx(0, abs=1)


class PassThrough:
    name = "pass-through"

    def voice(self, chunks):
        yield from (chunk for chunk in chunks)


def test_separators_get_the_channel_that_was_taken() -> None:
    seen: list[Stereo] = []

    class Watching(PassThrough):
        def voice(self, chunks):
            for chunk in chunks:
                seen.append(chunk)
                yield chunk

    made = make_working_audio(stereo(speech(), -speech()), io.BytesIO(), Watching())
    both = np.concatenate(seen)
    np.testing.assert_array_equal(both[:, 0], both[:, 1])
    assert decibels(both) == pytest.approx(0, abs=0.2)
    assert kinds(made) == ["channel_taken"]


def surround(layout: str, channels: dict[str, Sound], container: str = "wav", codec: str = "pcm_s16le") -> bytes:
    names = [channel.name for channel in av.AudioLayout(layout).channels]
    samples = np.stack([channels.get(name, np.zeros_like(speech())) for name in names], axis=1)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.reshape(1, -1)), format="flt", layout=layout)
    frame.sample_rate = RATE
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as out:
        stream = cast(AudioStream, out.add_stream(codec, rate=RATE, layout=layout))
        if codec == "aac":
            stream.bit_rate = 384_000
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("layout", "channel", "level"),
    [
        ("5.1", "FC", 0.0),
        ("5.1(side)", "FC", 0.0),
        ("7.1", "FC", 0.0),
        ("3.0", "FC", 0.0),
        ("5.1", "FL", -3.01),
        ("5.1", "BL", -6.02),
        ("quad", "FL", -6.02),
    ],
)
def test_surround_sound_is_mixed_by_its_layout(layout: str, channel: str, level: float) -> None:
    made, working = ingest(surround(layout, {channel: speech(), "LFE": hum()}))
    assert decibels(working) == pytest.approx(level, abs=0.3)
    assert kinds(made) == []
    assert made.downmix is not None and made.downmix.gain == 1


@pytest.mark.parametrize(("container", "codec"), [("mp4", "aac"), ("flac", "flac")])
def test_the_layout_is_that_of_the_codec(container: str, codec: str) -> None:
    _, working = ingest(surround("5.1", {"FC": speech()}, container, codec))
    assert decibels(working) == pytest.approx(0, abs=0.5)


def test_a_loud_mix_is_scaled_and_not_clipped() -> None:
    loud = speech() / np.abs(speech()).max() * np.float32(0.9)
    data = surround("5.1", dict.fromkeys(("FL", "FR", "FC", "BL", "BR"), loud))
    made, working = ingest(data)
    assert made.downmix is not None and made.downmix.gain == pytest.approx(1 / (0.9 * 3.414), rel=0.01)
    assert np.abs(working).max() <= 1
    assert np.corrcoef(working, decode(stereo(loud, loud)))[0, 1] > 0.9999
    (segment,) = cut_segments(data, [(0.0, 10.0)], downmix=made.downmix)
    assert 0.98 < np.abs(segment).max() <= 1.001


def test_inverted_fronts_are_not_mixed() -> None:
    made, working = ingest(surround("5.1", {"FL": speech(), "FR": -speech()}))
    assert decibels(working) == pytest.approx(0, abs=0.2)
    assert kinds(made) == ["channel_taken"]


def test_channels_of_an_unknown_layout_are_averaged() -> None:
    data = bytearray(surround("3.0", dict.fromkeys(("FL", "FR", "FC"), speech())))
    at = data.index(b"fmt ") + 8
    data[at + 20 : at + 24] = bytes(4)  # the channel mask of WAVE_FORMAT_EXTENSIBLE
    made, working = ingest(bytes(data))
    assert decibels(working) == pytest.approx(0, abs=0.2)
    assert kinds(made) == []


def test_stereo_in_the_middle_of_surround_sound_keeps_its_level() -> None:
    def adts(layout: str, channels: Sequence[str]) -> bytes:
        return surround(layout, dict.fromkeys(channels, speech()), "adts", "aac")

    _, working = ingest(adts("5.1", ["FC"]) + adts("stereo", ["FL", "FR"]))
    half = len(working) // 2
    assert decibels(working[:half]) == pytest.approx(0, abs=0.7)
    assert decibels(working[half:]) == pytest.approx(0, abs=0.7)


# -- channels and the clock ------------------------------------------------------------------------------------------


def in_container(
    samples: Sound, layout: str, codec: str, *, delay: float = 0.0, film: float = 0.0, **gap: float
) -> bytes:
    """Samples of shape (channels, n) in Matroska, perhaps behind a film, without the packets `of` … `to`."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as out:
        stream = cast(AudioStream, out.add_stream(codec, rate=RATE, layout=layout))
        interleaved = np.ascontiguousarray(samples.T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(interleaved, format="flt", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return remuxed(
        buffer.getvalue(),
        "matroska",
        keep=outside((gap["of"], gap["to"])) if gap else lambda _: True,
        delay=delay,
        film=film,
    )


def test_an_inverted_channel_with_a_gap_is_taken_at_its_times() -> None:
    data = in_container(np.stack([speech(), -speech()]), "stereo", "aac", of=3.0, to=5.0)
    made, working = ingest(data)
    assert sorted(kinds(made)) == ["channel_taken", "gaps_filled"]
    assert made.gap_seconds == pytest.approx(2, abs=0.1)
    assert len(working) == pytest.approx(160_000, abs=500)
    assert not working[round(3.3 * 16_000) : round(4.7 * 16_000)].any()
    assert decibels(working[96_000:], speech()[6 * RATE :]) == pytest.approx(0, abs=0.7)
    (segment,) = cut_segments(data, [(6.0, 8.0)], downmix=made.downmix or Downmix())
    assert found_at(segment, speech()[7 * RATE : round(7.5 * RATE)], RATE) == pytest.approx(1, abs=0.005)


def test_surround_sound_that_begins_late_is_mixed_at_its_time() -> None:
    channels = np.zeros((6, len(speech())), np.float32)
    channels[2] = speech()  # the centre
    made, working = ingest(in_container(channels, "5.1", "flac", delay=4.0, film=8.0))
    assert kinds(made) == ["late_start"]
    assert made.downmix is not None and made.downmix.channels == ()
    assert not working[: 4 * 16_000 - 100].any()
    assert decibels(working[4 * 16_000 :]) == pytest.approx(0, abs=1)


def test_joined_files_with_inverted_channels_are_read_whole() -> None:
    one = in_container(np.stack([speech(), -speech()]), "stereo", "flac")
    made, working = ingest(one + one)
    assert kinds(made) == ["wrong_header", "channel_taken"]
    assert decibels(working[160_000:]) == pytest.approx(0, abs=0.7)


@pytest.mark.parametrize("codec", ["aac", "libopus"])
def test_eight_channels_of_a_planar_codec_are_read(codec: str) -> None:
    channels = np.zeros((8, len(speech())), np.float32)
    channels[2] = speech()  # the centre
    made, working = ingest(in_container(channels, "7.1", codec, of=3.0, to=4.0))
    assert kinds(made) == ["gaps_filled"]
    assert decibels(working[5 * 16_000 :], speech()[5 * RATE :]) == pytest.approx(0, abs=1.5)
