"""A batch of everything bad at once, through Dagster: every file has its row, its reason, and its place in the checks."""

import gzip
import json
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from podcast_assets.config.settings import Settings
from podcast_assets.defs.assets.raw_audio import raw_audio
from podcast_assets.defs.build import build_definitions
from podcast_assets.defs.partitions import BATCHES
from podcast_assets.store.schema import RAW_AUDIO
from podcast_assets.store.store import Store, table_key
from podcast_assets_tests import miniature
from podcast_assets_tests.archives import tar

pytestmark = pytest.mark.hostile

TALK = (miniature.BATCH / "night-science.mp3").read_bytes()


def materialized(settings: Settings, batch: str) -> tuple[pl.DataFrame, dict[str, dg.AssetCheckEvaluation]]:
    """The table of a batch, and its checks."""
    job = build_definitions(settings).resolve_implicit_global_asset_job_def()
    with dg.instance_for_test() as instance:
        instance.add_dynamic_partitions(BATCHES, [batch])
        result = job.execute_in_process(instance=instance, asset_selection=[raw_audio.key], partition_key=batch)
    table = Store.at(settings.store).read_table(table_key("raw_audio", batch), RAW_AUDIO)
    assert table is not None
    return table, {c.check_name: c for c in result.get_asset_check_evaluations()}


def test_every_file_of_a_bad_batch_is_named(tmp_path: Path) -> None:
    store = Store.at(tmp_path / "store")
    members = {"talk.mp3": TALK, "../up.mp3": b"harm", "empty.mp3": b"", "fake.mp3": b"no audio " * 99}
    data = gzip.compress(tar(members))
    store.write("incoming/bad/a.tar.gz", data)
    store.write("incoming/bad/cut.tar.gz", data[: len(data) * 9 // 10])
    lines = [{"id": "talk", "title": "Talk", "n": 7}, {"id": "nobody"}, {"id": "fake"}, {"id": "fake"}]
    store.write("incoming/bad/m.jsonl", "\n".join(map(json.dumps, lines)).encode())
    store.write("incoming/bad/.defaults.json", b'{"language": "en"}')
    store.write("incoming/before/other.mp3", TALK)
    settings = Settings(store=str(store.root), meta_key="id", opus_copy=24_000)
    materialized(settings, "before")
    table, checks = materialized(settings, "bad")
    rows = {row["source"]: row for row in table.iter_rows(named=True)}
    assert {name: (row["status"], row["error"]) for name, row in rows.items() if not name.startswith("cut")} == {
        "a.tar.gz/../up.mp3": ("skipped", "its name leads out of the archive"),
        "a.tar.gz/empty.mp3": ("failed", "is an empty file (0 bytes)"),
        "a.tar.gz/fake.mp3": (
            "failed",
            "is not an audio or video file that can be read (Invalid data found when processing input)",
        ),
        "a.tar.gz/talk.mp3": ("done", None),
    }
    cut = {name: row["status"] for name, row in rows.items() if name.startswith("cut")}
    assert cut == {"cut.tar.gz": "failed", "cut.tar.gz/talk.mp3": "failed"}
    talk = rows["a.tar.gz/talk.mp3"]
    assert (talk["language"], talk["title"], json.loads(talk["metadata"])) == ("en", "Talk", lines[0])
    assert talk["also_in"].startswith("before/other-")
    assert talk["audio_streams"] == 1
    assert store.exists(talk["working"])
    assert store.exists(talk["opus"])
    facts = {k: v.value for k, v in checks["metadata_coverage"].metadata.items()}
    assert not checks["metadata_coverage"].passed
    assert (facts["metadata_without_file"], facts["duplicate_ids"]) == (["nobody"], ["fake"])
    assert (facts["files_with_metadata"], facts["metadata_without_file_count"]) == (2, 1)
    assert checks["episodes_accounted"].passed
    assert {p.name for p in tmp_path.iterdir()} == {"store"}


def test_what_a_batch_no_longer_has_is_no_duplicate_of_others(tmp_path: Path) -> None:
    store = Store.at(tmp_path / "store")
    store.write("incoming/one/a.mp3", TALK)
    settings = Settings(store=str(store.root))
    materialized(settings, "one")
    store.remove("incoming/one/a.mp3")
    store.write("incoming/one/b.m4a", (miniature.BATCH / "city-music.m4a").read_bytes())
    materialized(settings, "one")
    store.write("incoming/two/c.mp3", TALK)
    assert materialized(settings, "two")[0]["also_in"].to_list() == [None]
