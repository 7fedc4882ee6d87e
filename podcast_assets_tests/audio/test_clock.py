"""Times are those of the file: gaps become silence, a late start is kept, and damaged timestamps do no harm."""

import io
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
import pytest

from podcast_assets.audio.clock import Clock
from podcast_assets.audio.cut import cut_segments
from podcast_assets.audio.decode import decode
from podcast_assets.audio.ingest import WorkingAudio, make_working_audio
from podcast_assets_tests.audio.spliced import RATE, Samples, encoded, found_at, noise, outside, rate_of, remuxed

SECONDS = 9.0
GAPPED = {
    "mp4": ("aac", "mp4", {}),
    "fragments": ("aac", "mp4", {"movflags": "frag_keyframe+empty_moov"}),
    "mov": ("libmp3lame", "mov", {}),
    "mkv": ("libmp3lame", "matroska", {}),
    "live mkv": ("libmp3lame", "matroska", {"live": "1"}),
    "webm": ("libopus", "webm", {}),
    "live webm": ("libopus", "webm", {"live": "1"}),
    "ogg": ("libopus", "ogg", {"page_duration": "20000"}),
    "ts": ("aac", "mpegts", {}),
    "flv": ("libmp3lame", "flv", {}),
    "wma": ("libmp3lame", "asf", {}),
}


def made(data: bytes) -> WorkingAudio:
    return make_working_audio(data, io.BytesIO())


def kinds(audio: WorkingAudio) -> set[str]:
    return {w.kind for w in audio.warnings}


def piece(signal: Samples, at: float, rate: int = RATE) -> Samples:
    return signal[round(at * rate) : round((at + 0.5) * rate)]


@pytest.mark.parametrize("kind", GAPPED)
def test_missing_packets_become_silence_and_later_times_stay_right(kind: str) -> None:
    codec, container, options = GAPPED[kind]
    rate = rate_of(codec)
    signal = noise(SECONDS, 1, rate)
    whole = encoded(signal, "webm" if codec == "libopus" else "matroska", codec, rate=rate)
    data = remuxed(whole, container, options, keep=outside((2, 5), (6, 6.5)))
    audio = made(data)
    assert audio.duration == pytest.approx(SECONDS, abs=0.03)
    assert audio.gap_seconds == pytest.approx(3.5, abs=0.1)
    assert kinds(audio) == {"gaps_filled"}
    samples = decode(data, rate=rate)
    for at in (1.0, 5.2, 7.0):
        assert found_at(samples, piece(signal, at, rate), rate) == pytest.approx(at, abs=0.005)
    assert not samples[round(2.2 * rate) : round(4.8 * rate)].any()


def test_gaps_of_a_third_of_the_recording_are_no_truncation() -> None:
    data = encoded(noise(SECONDS, 2), "mp4", "aac")
    audio = made(remuxed(data, "mp4", keep=outside(*((t, t + 0.35) for t in range(1, 9)))))
    assert audio.duration == pytest.approx(SECONDS, abs=0.03)
    assert audio.gap_seconds == pytest.approx(8 * 0.35, abs=0.3)
    assert "8 gaps" in audio.warnings[0].message


@pytest.mark.parametrize("container", ["mp4", "matroska", "mov", "mpegts", "flv"])
def test_audio_that_begins_after_the_film_keeps_its_distance(container: str) -> None:
    signal = noise(4, 3)
    data = remuxed(encoded(signal, "matroska", "aac"), container, delay=2.5, film=6)
    samples = decode(data, rate=RATE)
    assert found_at(samples, piece(signal, 1)) == pytest.approx(3.5, abs=0.01)
    assert kinds(made(data)) == {"late_start"}


def test_audio_alone_begins_at_0_whatever_its_first_timestamp() -> None:
    signal = noise(4, 4)
    for container in ("matroska", "mpegts"):
        data = remuxed(encoded(signal, "matroska", "aac"), container, delay=1000)
        assert found_at(decode(data, rate=RATE), piece(signal, 1)) == pytest.approx(1, abs=0.01)
        assert not made(data).warnings


def test_timestamps_of_ts_that_wrap_go_on() -> None:
    signal = noise(6, 5)
    data = remuxed(encoded(signal, "matroska", "aac"), "mpegts", delay=2**33 / 90_000 - 4)
    assert found_at(decode(data, rate=RATE), piece(signal, 5)) == pytest.approx(5, abs=0.01)


def test_segments_are_cut_on_the_same_clock() -> None:
    signal = noise(SECONDS, 6)
    data = remuxed(encoded(signal, "matroska", "aac"), "mp4", keep=outside((2, 5)), delay=1.5, film=6)
    silence, sound = cut_segments(data, [(4.0, 6.0), (8.5, 9.5)])
    assert not silence.any()
    assert found_at(sound, piece(signal, 7.25)) == pytest.approx(0.25, abs=0.005)
    (resampled,) = cut_segments(data, [(8.5, 9.5)], rate=RATE // 2)
    assert found_at(resampled, piece(signal, 7.25)[::2], RATE // 2) == pytest.approx(0.25, abs=0.005)


FRAME = 0.02


def placed(clock: Clock, times: list[float | None]) -> list[float | None]:
    """Where frames of 20 ms with these timestamps begin; None for one that was left out."""

    def frames() -> Iterator[av.AudioFrame]:
        for number, time in enumerate(times):
            samples = np.full((1, round(FRAME * 8_000)), number + 1, np.float32)
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            frame.sample_rate, frame.time_base = 8_000, Fraction(1, 90_000)
            frame.pts = None if time is None else round(time * 90_000)
            yield frame

    found: list[float | None] = [None] * len(times)
    position = 0
    for frame in clock.place(frames()):
        if number := round(float(frame.to_ndarray()[0, 0])):
            found[number - 1] = position / 8_000
        position += frame.samples
    return found


def steady(start: float, seconds: float) -> list[float | None]:
    return [start + number * FRAME for number in range(round(seconds / FRAME))]


def test_one_damaged_timestamp_is_not_followed() -> None:
    for damaged in (0.0, 3.0, 4_000.0, 3e8):
        times = steady(0, 2)
        times[50] = damaged
        clock = Clock()
        assert placed(clock, times) == pytest.approx(steady(0, 2), abs=0.001)
        assert clock.report.gap == 0


def test_a_cluster_of_damaged_timestamps_makes_no_years_of_silence() -> None:
    times = [*steady(0, 2), *steady(3e8, 5), *steady(7, 2)]
    clock = Clock()
    assert placed(clock, times) == pytest.approx(steady(0, 9), abs=0.001)
    assert (clock.report.gap, clock.report.jumps) == (0, 1)


def test_a_long_gap_is_filled_once_the_audio_goes_on_after_it() -> None:
    for gap in (9.0, 60.0, 3_500.0):
        clock = Clock()
        assert placed(clock, [*steady(0, 1), *steady(1 + gap, 2)])[-1] == pytest.approx(gap + 2.98, abs=0.001)
        assert clock.report.gap == pytest.approx(gap)
    assert placed(Clock(declared_end=20_000.0), [*steady(0, 1), *steady(19_990, 2)])[-1] == pytest.approx(19_991.98)


def test_sparse_packets_keep_their_distances() -> None:
    times = [0.4 * number for number in range(20)]
    clock = Clock()
    assert placed(clock, [*times]) == pytest.approx(times, abs=0.001)
    assert clock.report.gaps == 19


def test_what_is_there_twice_is_left_out_once() -> None:
    times = [*steady(0, 2), *steady(1.5, 2)]
    clock = Clock()
    found = placed(clock, times)
    assert found[100:125] == [None] * 25
    assert found[125:] == pytest.approx(steady(2, 1.5), abs=0.001)
    assert clock.report.dropped == pytest.approx(0.5, abs=0.001)


def test_a_clock_that_starts_again_loses_no_audio() -> None:
    times = [*steady(100, 3), *steady(0, 3), *steady(50, 3)]
    clock = Clock()
    assert None not in placed(clock, times)
    assert placed(Clock(drop_overlaps=False), [*steady(0, 0.5), *steady(0, 0.5)]) == pytest.approx(steady(0, 1))


def test_a_slow_clock_loses_little_audio() -> None:
    times: list[float | None] = [number * FRAME / 2 for number in range(500)]
    clock = Clock()
    assert placed(clock, times).count(None) * FRAME <= 1.0
    assert clock.report.jumps


def test_jitter_and_missing_timestamps_change_nothing() -> None:
    rng = np.random.default_rng(8)
    exact = steady(5, 4)
    times: list[float | None] = [
        t + rng.uniform(-0.05, 0.05) if t is not None and n % 7 else None for n, t in enumerate(exact)
    ]
    assert placed(Clock(), times) == pytest.approx(steady(0, 4), abs=0.001)


def test_counted_containers_ignore_timestamps() -> None:
    assert placed(Clock(follow=False), [*steady(0, 1), *steady(30, 1)]) == pytest.approx(steady(0, 2))


def test_a_film_that_begins_first_is_the_start() -> None:
    assert placed(Clock(others_start=1.4), steady(4.4, 1)) == pytest.approx(steady(3, 1), abs=0.001)
    assert placed(Clock(others_start=6.0), steady(4.4, 1)) == pytest.approx(steady(0, 1), abs=0.001)
