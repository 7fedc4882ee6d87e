"""`podcast-assets speakers`: voices that episodes share, read from the tables beside the diarization."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from podcast_assets.cli.main import main
from podcast_assets.speech.linking import LINKED
from podcast_assets.speech.voices import KEY
from podcast_assets.store.commits import commit
from podcast_assets.store.schema import FAILURES, PROVENANCE, RAW_AUDIO, empty_table, make_table
from podcast_assets.store.schema_beside import SPEAKERS
from podcast_assets.store.store import Store, diarization_key, table_key

VOICES = dict(zip("ab", np.random.default_rng(0).normal(size=(2, 64)), strict=True))


def commit_episodes(store: Store, batch: str, *episodes: tuple[str, str | None, str], engine: str = "pyannote") -> None:
    """Commit episodes, each with one speaker: (id, podcast, voice)."""
    rows = [
        {**dict.fromkeys(RAW_AUDIO), "episode_id": e, "podcast_id": p, "status": "done", "sha256": e}
        for e, p, _ in episodes
    ]
    commit(store, "raw_audio", batch, make_table(rows, RAW_AUDIO), empty_table(PROVENANCE), empty_table(FAILURES))
    for episode, _, voice in episodes:
        embedding = (VOICES[voice] + 0.3 * np.random.default_rng([*episode.encode()]).normal(size=64)).tolist()
        row = {"episode_id": episode, "speaker": "S", "seconds": 90.0, "embedding": embedding, "engine": engine}
        store.write_table(diarization_key(batch, episode, "parquet"), make_table([row], SPEAKERS))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLUMNS", "120")
    store = Store.at(tmp_path)
    commit_episodes(store, "one", ("e1", "p", "a"), ("e2", "p", "b"))
    commit_episodes(store, "two", ("e3", "p", "a"), ("e4", "q", "a"), ("e1", "p", "a"))  # e1 came again
    return tmp_path


def voices(folder: Path, *arguments: str) -> dict[str, str]:
    result = CliRunner().invoke(main, ["speakers", "--store", str(folder), "--json", *arguments])
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert len(rows) == len({row["episode_id"] for row in rows})
    return {row["episode_id"]: row["voice"] for row in rows}


def test_a_voice_is_found_in_other_batches_of_its_podcast_and_not_in_another_podcast(folder: Path) -> None:
    found = voices(folder)
    assert found["e1"] == found["e3"]
    assert len({found[e] for e in ("e1", "e2", "e4")}) == 3
    assert list(voices(folder, "q")) == ["e4"]
    across = voices(folder, "--across-podcasts")
    assert across["e1"] == across["e3"] == across["e4"] != across["e2"]
    assert len(set(voices(folder, "--min-similarity", "0.999").values())) == 4


def test_the_words_for_people(folder: Path) -> None:
    commit_episodes(Store.at(folder), "three", ("e5", "p", "a"), engine="sortformer")
    commit_episodes(Store.at(folder), "four", ("e6", None, "a"), ("e7", None, "b"))
    result = CliRunner().invoke(main, ["speakers", "--store", str(folder)])
    assert "one/e1" in result.output
    assert "two/e3" in result.output
    said = " ".join(result.output.split())
    assert "voices in several episodes: 1; speakers in one: 2 1 speaker not compared: too little speech" in said
    assert "2 episodes left out, because their metadata name no podcast (podcast_id)" in said
    assert "the embeddings of sortformer cannot be compared across recordings" in " ".join(result.output.split())


def test_links_are_kept_podcast_by_podcast(folder: Path) -> None:
    voices(folder, "--save")
    store = Store.at(folder)
    kept = store.read_table(KEY, LINKED)
    assert kept is not None
    assert kept["episode_id"].to_list() == ["e1", "e2", "e3", "e4"]
    voices(folder, "p", "--min-similarity", "0.999", "--save")
    again = store.read_table(KEY, LINKED)
    assert again is not None
    assert again.filter(podcast="q").equals(kept.filter(podcast="q"))
    assert again.filter(podcast="p")["voice"].n_unique() == 3


def test_a_batch_of_another_version_is_named(folder: Path) -> None:
    store = Store.at(folder)
    store.write("incoming/three.jsonl", b"{}")  # a batch that is not ingested has no speakers yet
    assert voices(folder)
    store.write_table(table_key("raw_audio", "two"), pl.DataFrame({"episode_id": ["e3"]}))
    result = CliRunner().invoke(main, ["speakers", "--store", str(folder)])
    assert result.exit_code != 0
    assert "batch two: raw_audio was written by another version" in " ".join(result.output.split())
