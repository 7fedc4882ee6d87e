"""Another setting of one engine: its stage and what depends on it are done again, and nothing else."""

import json

import polars as pl

from podcast_assets.store.schema import PROVENANCE
from podcast_assets.store.store import Store, provenance_key, table_key
from podcast_assets_tests import miniature
from podcast_assets_tests.conftest import Place


def finished(store: Store, stage: str) -> pl.DataFrame:
    found = store.read_table(provenance_key(stage, "one"), PROVENANCE)
    assert found is not None
    return found.select("episode_id", "fingerprint", "finished_at")


def test_a_changed_transcriber_runs_again_and_the_diarizer_does_not(clip_copy: Place) -> None:
    stages = ("ingest", "diarize", "transcribe", "score", "package")
    place = clip_copy
    before = {stage: finished(place.store, stage) for stage in stages}
    shards = place.store.path(table_key("hf_shards", "one")).read_bytes()
    same = place.command("backfill", "one", "--here", "--profile", "demo")
    assert same.returncode == 0, same.stderr
    assert {s: finished(place.store, s).equals(before[s]) for s in stages} == dict.fromkeys(stages, True)
    engines = json.dumps({"faster-whisper": miniature.TRANSCRIBER | {"beam_size": 1}})
    changed = place.command("backfill", "one", "--here", "--profile", "demo", PODCAST_ENGINES=engines)
    assert changed.returncode == 0, changed.stderr
    taken = {s: finished(place.store, s).equals(before[s]) for s in stages}
    # the scorer hears the audio and not the text
    assert taken == {"ingest": True, "diarize": True, "transcribe": False, "score": True, "package": False}
    assert place.store.path(table_key("hf_shards", "one")).read_bytes() != shards
