"""The stage that decodes everything that arrives: whatever it is called, and whatever is wrong with it."""

from pathlib import Path

import numpy as np
import pytest

from podcast_assets.audio.encode import encode
from podcast_assets.stages.compute.local import Local
from podcast_assets.stages.ingest import Ingest, ingest_episode
from podcast_assets.stages.results import StageRun
from podcast_assets.stages.runner import run_stage
from podcast_assets.store.store import Store

SOUND = (0.3 * np.sin(np.arange(16_000) / 20)).astype(np.float32)
KINDS = {
    "right.mp3": encode(SOUND, 16_000, "mp3"),
    "flac.mp3": encode(SOUND, 16_000, "flac"),
    "opus.wav": encode(SOUND, 16_000, "opus"),
    "empty.mp3": b"",
    "text.m4a": b"no audio at all " * 100,
    "playlist.mp3": b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n",
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.at(tmp_path)


def ingested(store: Store, stage: Ingest, *, opus: int | None = None) -> StageRun:
    todo = []
    for name, data in KINDS.items():
        store.write(f"in/{name}", data)
        with store.path(f"in/{name}").open("rb") as f:
            stored = store.put_original(f, Path(name).suffix)
        todo.append(ingest_episode(name.replace(".", "-"), name, stored.sha256, stored.key, opus=opus))
    return run_stage(stage, "batch", todo, store, Local(stage, 2))


def test_contents_count_and_not_names(store: Store) -> None:
    run = ingested(store, Ingest(store))
    found = {row["episode_id"]: row for row in run.table().iter_rows(named=True)}
    assert [found[e]["codec"] for e in ("right-mp3", "flac-mp3", "opus-wav")] == ["mp3float", "flac", "opus"]
    assert all(store.exists(row["working"]) and row["opus"] is None for row in found.values())
    assert all(row["audio_streams"] == 1 for row in found.values())
    failed = {r["source"]: (r["message"], r["permanent"]) for r in run.failures.iter_rows(named=True)}
    assert sorted(failed) == ["empty.mp3", "playlist.mp3", "text.m4a"]
    assert failed["empty.mp3"] == ("is an empty file (0 bytes)", True)
    assert all(permanent for _, permanent in failed.values())


def test_a_copy_in_opus_is_made_where_it_is_wanted_and_again_where_it_is_gone(store: Store) -> None:
    plain = ingested(store, Ingest(store))
    run = ingested(store, Ingest(store), opus=24_000)
    copies = run.table()["opus"].to_list()
    assert len(copies) == 3
    assert all(key.startswith("audio/opus/") and key.endswith("-24000.opus") for key in copies)
    assert all(store.exists(key) for key in copies)
    assert plain.ran == run.ran == len(KINDS), "the wish for a copy changes the fingerprint"
    store.remove(copies[0])
    assert ingested(store, Ingest(store), opus=24_000).ran == 1 + len(run.failures)
    assert store.exists(copies[0])


def test_what_is_too_long_leaves_nothing(store: Store) -> None:
    run = ingested(store, Ingest(store, longest=0.5))
    assert not run.done
    messages = run.failures.filter(source="right.mp3")["message"].to_list()
    assert messages == ["is longer than 0.000138889 hours (PODCAST_MAX_HOURS)"]
    assert not list(Path(str(store.root)).glob("audio/working/*/*"))
