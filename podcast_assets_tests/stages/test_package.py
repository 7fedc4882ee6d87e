"""Segments and whole episodes out of an original, in the form that shards have."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from podcast_assets.audio.decode import decode
from podcast_assets.audio.downmix import Downmix
from podcast_assets.audio.encode import encode
from podcast_assets.audio.form import AudioForm, Channels
from podcast_assets.audio.loudness import emilia_gain, measure_levels
from podcast_assets.stages.package import Package
from podcast_assets.stages.package_episodes import PackageEpisodes
from podcast_assets.stages.stage import Episode
from podcast_assets.store.schema import WORDS
from podcast_assets.store.store import Store

RATE, SECONDS = 44_100, 12
SPANS = [(0.5, 2.25), (2.25, 2.4), (7.001, 11.9)]
FORMS = [
    AudioForm("flac", 24_000),
    AudioForm("flac", 48_000, "source"),
    AudioForm("flac", 48_000, "mono", "emilia"),
    AudioForm("mp3", 48_000, "source"),
    AudioForm("opus", 24_000),
]


@pytest.fixture(scope="module")
def stereo() -> np.ndarray:
    """Two voices of tones and noise, shape (n, 2)."""
    t = np.arange(SECONDS * RATE) / RATE
    noise = np.random.default_rng(3).standard_normal((len(t), 2)) * 0.02
    tones = np.stack([0.3 * np.sin(2 * np.pi * 220 * t), 0.1 * np.sin(2 * np.pi * (100 + 20 * t) * t)], axis=1)
    return (tones + noise).astype(np.float32)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.at(tmp_path)


def episode(store: Store, stereo: np.ndarray, container: str, form: AudioForm) -> Episode:
    store.write("audio/original/x", encode(stereo, RATE, "mp3" if container == "mp3" else "flac"))
    samples = pl.DataFrame(
        {
            "segment_id": [f"ep-{round(s * 1000):09d}-{round(e * 1000):09d}" for s, e in SPANS],
            "start": [s for s, _ in SPANS],
            "end": [e for _, e in SPANS],
            "segment_index": range(len(SPANS)),
            "duration": [e - s for s, e in SPANS],
            "speaker": ["A", None, "B"],
            "text": ["one", "", "three"],
            "language": ["en"] * 3,
            "words": [[]] * 3,
        },
        schema_overrides={"words": WORDS},
    ).with_columns(
        pl.lit(None).alias(k)
        for k in "podcast_id license language_probability avg_logprob no_speech_prob compression_ratio".split()
    )
    about = dict.fromkeys(("podcast_id", "podcast", "title", "license")) | {
        "episode_id": "ep",
        "duration": float(SECONDS),
        "language": "en",
    }
    return Episode(
        "ep",
        "x",
        float(SECONDS),
        {
            "original": "audio/original/x",
            "sample_rate": RATE,
            "channels": 2,
            "container": container,
            "audio_codec": "mp3float" if container == "mp3" else container,
            "nothing_else": True,
            "form": form.fingerprint_values(),
            "about": about,
            "samples": samples.with_columns(episode_id=pl.lit("ep")),
            "rttm": None,
        },
    )


@pytest.mark.parametrize("form", FORMS, ids=lambda f: "-".join(map(str, f.fingerprint_values().values())))
def test_segments_are_the_samples_of_the_original_in_the_form_that_is_asked_for(
    store: Store, stereo: np.ndarray, form: AudioForm
) -> None:
    stage, given = Package(store, "b", form), episode(store, stereo, "flac", form)
    rows = stage.process(None, given, None)
    (key,) = stage.outputs(given)
    data = store.read(key)
    assert sum(rows["json_size"]) + sum(rows["audio_size"]) == len(data)
    gain = emilia_gain(measure_levels([stereo.mean(axis=1)])) if form.loudness == "emilia" else 1.0
    for (start, end), row in zip(SPANS, rows.iter_rows(named=True), strict=True):
        note = data[row["members_offset"] :][: row["json_size"]]
        audio = data[row["members_offset"] + row["json_size"] :][: row["audio_size"]]
        assert hashlib.sha256(note).hexdigest() == row["json_sha256"]
        assert hashlib.sha256(audio).hexdigest() == row["audio_sha256"]
        assert json.loads(note)["id"] == row["segment_id"]
        rate = min(form.rate, RATE)
        assert (row["sample_rate"], row["channels"]) == (rate, 2 if form.channels == "source" else 1)
        assert len(decode(audio, rate=rate)) == pytest.approx((end - start) * rate, abs=1)
        if (form.codec, rate) == ("flac", RATE):
            wanted = stereo[round(start * RATE) : round(end * RATE)].mean(axis=1) * gain
            np.testing.assert_allclose(decode(audio, rate=RATE), np.clip(wanted, -1, 1), atol=2e-4)
    assert gain == 1 or gain > 1.5
    assert stage.process(None, given, None).equals(rows)
    assert store.read(key) == data, "the same again gives the same bytes"


@pytest.mark.parametrize("form", FORMS, ids=lambda f: "-".join(map(str, f.fingerprint_values().values())))
def test_a_whole_episode_lasts_as_long_as_the_original(store: Store, stereo: np.ndarray, form: AudioForm) -> None:
    stage, given = PackageEpisodes(store, "b", form), episode(store, stereo, "flac", form)
    row = stage.process(None, given, None).row(0, named=True)
    audio = store.read(stage.outputs(given)[0])
    assert (row["audio_size"], row["audio_sha256"]) == (len(audio), hashlib.sha256(audio).hexdigest())
    assert len(decode(audio, rate=row["sample_rate"])) == pytest.approx(SECONDS * row["sample_rate"], abs=2)
    assert json.loads(row["json"])["speakers"] == ["A", "B"]


def test_a_recording_that_has_the_form_is_taken_byte_for_byte(store: Store, stereo: np.ndarray) -> None:
    form = AudioForm("mp3", 48_000, "source")
    stage, given = PackageEpisodes(store, "b", form), episode(store, stereo, "mp3", form)
    row = stage.process(None, given, None).row(0, named=True)
    assert store.read(stage.outputs(given)[0]) == store.read("audio/original/x")
    assert (row["sample_rate"], row["channels"]) == (RATE, 2)


@pytest.mark.parametrize("why", ["mono is wanted", "it holds a film"])
def test_a_recording_that_has_not_is_encoded(store: Store, stereo: np.ndarray, why: str) -> None:
    form = AudioForm("mp3", 48_000, "mono" if why == "mono is wanted" else "source")
    stage, given = PackageEpisodes(store, "b", form), episode(store, stereo, "mp3", form)
    if why == "it holds a film":
        given = replace(given, inputs={**given.inputs, "nothing_else": False})
    stage.process(None, given, None)
    assert store.read(stage.outputs(given)[0]) != store.read("audio/original/x")


@pytest.mark.parametrize("channels", ["mono", "source"])
def test_shards_have_the_channel_that_ingest_took(store: Store, stereo: np.ndarray, channels: Channels) -> None:
    inverted = np.stack([stereo[:, 0], -stereo[:, 0]], axis=1)
    form = AudioForm("flac", 48_000, channels)
    given = episode(store, inverted, "flac", form)
    taken = replace(given, inputs={**given.inputs, "downmix": {"tracks": [], "channels": [1], "gain": 1.0}})
    segments, whole = Package(store, "b", form), PackageEpisodes(store, "b", form)
    row = segments.process(None, taken, None).row(0, named=True)
    whole.process(None, taken, None)
    data = store.read(segments.outputs(taken)[0])[row["members_offset"] + row["json_size"] :][: row["audio_size"]]
    (start, end), *_ = SPANS
    for audio in (data, store.read(whole.outputs(taken)[0])):
        left = decode(audio, rate=RATE, downmix=Downmix(channels=(1,)))
        at = 0 if audio is data else round(start * RATE)
        wanted = stereo[round(start * RATE) : round(end * RATE), 0]
        np.testing.assert_allclose(left[at : at + len(wanted)], wanted, atol=2e-4)
