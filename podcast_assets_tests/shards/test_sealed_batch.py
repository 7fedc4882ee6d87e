"""The sample batch sealed in both grains by the real job: the same from nothing, to the byte, and no more work than there is."""

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from podcast_assets.release.published import EPISODES
from podcast_assets.release.readers.features import features
from podcast_assets.speech.rttm import parse_rttm
from podcast_assets.store.schema import EPISODE_SHARDS, HF_SHARDS
from podcast_assets.store.store import table_key
from podcast_assets_tests import forked, miniature
from podcast_assets_tests.conftest import Place, SampleRun, SharedFolders

PACKAGED = re.compile(r": (package|package_episodes) \d+ of \d+")
BOTH = {"PODCAST_GRAINS": "segments,episodes"}


def demo(place: Place, **environment: str) -> subprocess.CompletedProcess[str]:
    """`podcast-assets demo` with other settings."""
    done = forked.command("demo", "--json", environment=place.environment(**environment), cwd=place.folder)
    assert done.returncode == 0, done.stderr
    return done


def run(place: Place, **environment: str) -> str:
    """Standard error of the command."""
    return demo(place, **environment).stderr


def sealed(place: Place) -> dict[str, str]:
    """Path → SHA-256 of all that is sealed."""
    root = Path(str(place.store.path("sealed")))
    return {
        p.relative_to(root).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in root.rglob("*")
        if p.is_file()
    }


def episodes(place: Place) -> pl.DataFrame:
    found = place.store.read_table(table_key("episode_shards", "sample"), EPISODE_SHARDS)
    assert found is not None
    return found


@pytest.fixture(scope="session")
def finished(sample_run: SampleRun, shared_folders: SharedFolders) -> Place:
    """The sample batch with the episodes sealed after the segments. Nobody changes it."""

    def make(folder: Path) -> None:
        for name in ("store", "dagster_home"):
            shutil.copytree(sample_run.place.folder / name, folder / name)
        run(Place(folder), **BOTH)

    return Place(shared_folders.make_once("both-grains", make))


@pytest.fixture
def both(finished: Place, tmp_path: Path) -> Place:
    """The sample batch in both grains, to be changed."""
    for name in ("store", "dagster_home"):
        shutil.copytree(finished.folder / name, tmp_path / name)
    return Place(tmp_path)


def test_every_episode_is_there_whole_with_all_that_is_said(finished: Place, tmp_path: Path) -> None:
    import datasets

    rows = {r["episode_id"]: r for r in episodes(finished).iter_rows(named=True)}
    segments = finished.store.read_table(table_key("hf_shards", "sample"), HF_SHARDS)
    assert segments is not None
    files = sorted({str(finished.store.path(f"sealed/sample/{r['shard']}")) for r in rows.values()})
    options: dict[str, Any] = {"features": features(grain=EPISODES), "split": "train", "cache_dir": str(tmp_path)}
    loaded = {s["json"]["id"]: s for s in datasets.load_dataset("webdataset", data_files=files, **options)}
    assert sorted(loaded) == sorted(rows) == sorted(segments["episode_id"].unique())
    for episode, sample in loaded.items():
        note, row = sample["json"], rows[episode]
        assert hashlib.sha256(sample["flac"]).hexdigest() == row["audio_sha256"]
        told = segments.filter(episode_id=episode).sort("start")
        assert [s["segment_id"] for s in note["segments"]] == told["segment_id"].to_list()
        assert note["text"] == " ".join(t.strip() for t in told["text"] if t)
        turns = parse_rttm(note["rttm"])[episode]
        assert [(t["start"], t["speaker"]) for t in note["turns"]] == [(t.start, t.speaker) for t in turns]


def test_from_nothing_the_same_shards_are_sealed(finished: Place, sample_run: SampleRun, place: Place) -> None:
    """In an empty store, and both grains at once: as those that were sealed one after the other."""
    miniature.drop_batch(place.store)
    run(place, **BOTH)
    found = sealed(place)
    assert len(found) == 2
    assert found == sealed(finished)
    assert {k: v for k, v in found.items() if "episode_data" not in k} == sealed(sample_run.place)


def test_rejected_episodes_are_removed_and_accepting_them_again_encodes_only_them(both: Place) -> None:
    before = sealed(both)
    assert not PACKAGED.search(run(both, **BOTH)), "all of it is there"
    assert not PACKAGED.search(run(both))
    assert sealed(both) == {k: v for k, v in before.items() if "episode_data" not in k}
    assert not both.store.exists(table_key("episode_shards", "sample"))
    assert set(PACKAGED.findall(run(both, **BOTH))) == {"package_episodes"}
    assert sealed(both) == before
    assert not both.store.names("checkpoints/package")
    assert not both.store.names("checkpoints/package_episodes")


def test_another_form_seals_the_same_segments_in_it(both: Place) -> None:
    wanted = {"PODCAST_SHARD_CODEC": "opus", "PODCAST_SHARD_CHANNELS": "source", "PODCAST_LOUDNESS": "emilia"}
    done = demo(both, **wanted)
    rows = both.store.read_table(table_key("hf_shards", "sample"), HF_SHARDS)
    assert rows is not None
    audio = pl.read_parquet(both.store.read(table_key("raw_audio", "sample"))).filter(status="done")
    found = rows.join(audio.select("episode_id", source=pl.col("channels")), on="episode_id")
    assert found.filter(pl.col("channels") != pl.col("source")).is_empty()
    assert found["source"].n_unique() == 2, "the sample batch has mono and stereo"
    again = demo(both, **wanted)
    assert json.loads(again.stdout)["shards"] == json.loads(done.stdout)["shards"]
