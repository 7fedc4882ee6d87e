"""The sample batch, taken all the way: what a newcomer sees after `make demo`."""

import hashlib
import json
import math
import re
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from podcast_assets import transcripts as transcript
from podcast_assets.cli.demo_evaluation import evaluate
from podcast_assets.defs.assets.earlier import earlier_kept_hours
from podcast_assets.quality.policies.policy import load_policy
from podcast_assets.release.readers.features import features
from podcast_assets.store.schema import ASSETS, schema
from podcast_assets.store.store import table_key, transcript_key
from podcast_assets_tests.conftest import Place, SampleRun

PROGRESS = re.compile(r": (ingest|diarize|transcribe|score|package) \d+ of \d+")
"""A line that tells of an episode that a stage did."""


def table(run: SampleRun, asset: str) -> pl.DataFrame:
    found = run.store.read_table(table_key(asset, run.batch), ASSETS[asset])
    assert found is not None
    return found


def shards(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The shards of a report, whatever folder the store is in."""
    return [shard | {"path": Path(shard["path"]).name} for shard in report["shards"]]


def test_the_words_and_the_speakers_are_right(demo_run: SampleRun) -> None:
    *episodes, everything = evaluate(demo_run.store, demo_run.batch)
    assert len(episodes) == 4
    assert everything.wer <= 0.10
    assert everything.der <= 0.08
    assert [e.speakers for e in episodes] == [e.speakers_expected for e in episodes]


def test_the_truncated_file_is_one_failure_that_says_why(sample_run: SampleRun) -> None:
    failed = [e for e in sample_run.report["episodes"] if e["status"] == "failed"]
    assert [e["source"] for e in failed] == ["morning-team.mp3"]
    assert "truncated" in failed[0]["error"]
    assert "morning-team.mp3" in sample_run.log
    row = table(sample_run, "raw_audio").filter(status="failed").row(0, named=True)
    assert sample_run.store.exists(row["original"]), "the audio of a failed episode is kept"


def test_the_report_has_all_that_scripts_need(sample_run: SampleRun) -> None:
    report = sample_run.report
    assert report["batch"] == "sample"
    assert {e["status"] for e in report["episodes"]} == {"done", "failed"}
    done = [e for e in report["episodes"] if e["status"] == "done"]
    assert all(e["language"] == "en" and e["duration"] > 20 and e["speakers"] in (2, 3) and e["text"] for e in done)
    assert report["segments"] == table(sample_run, "hf_shards").height
    assert report["hours"] == pytest.approx(sum(e["duration"] for e in done) / 3600, abs=1e-4)
    assert list(report["seconds"]) == ["ingest", "diarize", "transcribe", "score", "package"]
    assert sorted(report["tables"]) == sorted(ASSETS)
    for shard in report["shards"]:
        assert hashlib.sha256(Path(shard["path"]).read_bytes()).hexdigest() == shard["sha256"]
    assert report["error"] is None


def test_the_tables_have_the_columns_that_are_written_down(sample_run: SampleRun) -> None:
    for asset, columns in ASSETS.items():
        assert table(sample_run, asset).schema == schema(columns), asset


def test_rows_say_what_made_them(sample_run: SampleRun) -> None:
    assert table(sample_run, "diarized_segments").select("engine", "degraded").unique().rows() == [("embedded", False)]
    assert table(sample_run, "transcripts").select("engine", "degraded").unique().rows() == [("faster-whisper", False)]
    assert not table(sample_run, "hf_shards")["degraded"].any()
    provenance = pl.read_parquet(sample_run.store.path("provenance/transcribe/sample.parquet").read_bytes())
    made_with = json.loads(provenance["made_with"][0])
    assert made_with["packages"].keys() == {"faster-whisper", "ctranslate2"}
    assert len(made_with["routes"]["*"]["model"]) == 64


def test_metadata_of_the_parquet_file_reach_the_tables(sample_run: SampleRun) -> None:
    done = table(sample_run, "raw_audio").filter(status="done")
    assert done["title"].null_count() == 0
    assert done["license"].unique().to_list() == ["CC0-1.0"]
    assert json.loads(done["metadata"][0])["meta_id"] in done["source"][0]


def test_people_can_read_the_transcripts(sample_run: SampleRun) -> None:
    for row in table(sample_run, "raw_audio").filter(status="done").iter_rows(named=True):
        text = sample_run.store.path(transcript_key("sample", row["episode_id"], "md")).read_text()
        assert text.startswith(f"# {row['title']}\n")
        assert "**SPEAKER_00** [0:0" in text
        assert "**SPEAKER_01** [0:" in text
        assert "Made with Whisper tiny.en" in text
        for suffix in transcript.FORMATS:
            assert sample_run.store.path(transcript_key("sample", row["episode_id"], suffix)).stat().st_size > 100
        data = json.loads(sample_run.store.path(transcript_key("sample", row["episode_id"], "json")).read_text())
        assert data["speakers"][:2] == ["SPEAKER_00", "SPEAKER_01"]
        assert data["segments"][0]["words"][0]["start"] >= data["segments"][0]["start"] - 0.001


def test_shards_hold_two_members_per_segment(sample_run: SampleRun) -> None:
    segments = table(sample_run, "diarized_segments")["segment_id"].to_list()
    names = []
    for shard in sample_run.report["shards"]:
        with tarfile.open(shard["path"]) as tar:
            names += tar.getnames()
    assert sorted(names) == sorted(f"{s}.{suffix}" for s in segments for suffix in ("json", "flac"))


@pytest.mark.parametrize("streaming", [True, False], ids=["streaming", "map"])
def test_datasets_loads_the_shards(sample_run: SampleRun, streaming: bool, tmp_path: Path) -> None:
    import datasets

    files = [s["path"] for s in sample_run.report["shards"]]
    options: dict[str, Any] = {"streaming": True} if streaming else {"cache_dir": str(tmp_path)}
    loaded = datasets.load_dataset("webdataset", data_files=files, features=features(), split="train", **options)
    rows = table(sample_run, "hf_shards")
    found = {s["json"]["id"]: s for s in loaded}
    assert sorted(found) == sorted(rows["segment_id"])
    for row in rows.iter_rows(named=True):
        sample = found[row["segment_id"]]
        assert sample["json"]["text"] == row["text"]
        assert (sample["json"]["start"], sample["json"]["end"]) == (row["start"], row["end"])
        assert hashlib.sha256(sample["flac"]).hexdigest() == row["audio_sha256"]


def test_webdataset_loads_the_shards(sample_run: SampleRun) -> None:
    import io

    import soundfile
    from webdataset.compat import WebDataset

    rows = {r["segment_id"]: r for r in table(sample_run, "hf_shards").iter_rows(named=True)}
    count = 0
    for shard in sample_run.report["shards"]:
        for sample in WebDataset(f"file:{shard['path']}", shardshuffle=False, empty_check=False):
            row = rows[sample["__key__"]]
            assert json.loads(sample["json"])["text"] == row["text"]
            audio, rate = soundfile.read(io.BytesIO(sample["flac"]))
            assert rate == row["sample_rate"]
            assert len(audio) / rate == pytest.approx(row["duration"], abs=0.002)
            count += 1
    assert count == len(rows)


def test_to_run_it_again_does_nothing_and_changes_nothing(sample_run: SampleRun, sample_copy: Place) -> None:
    before = {k: Path(p).read_bytes() for k, p in sample_run.report["tables"].items()}
    again = sample_copy.command("demo", "--json")
    assert again.returncode == 0, again.stderr
    report = json.loads(again.stdout)
    assert shards(report) == shards(sample_run.report)
    assert {k: Path(p).read_bytes() for k, p in report["tables"].items()} == before
    assert not PROGRESS.search(again.stderr), "no stage had an episode to do"


def test_the_sample_batch_of_another_version_is_not_compared(sample_copy: Place) -> None:
    shown = sample_copy.command("demo")
    assert shown.returncode == 0, shown.stderr
    assert "the sample batch of another version" in shown.stdout
    assert "WER" not in shown.stdout


def test_what_is_printed_fits_on_one_screen(demo_run: SampleRun, tmp_path: Path) -> None:
    copied = Place(tmp_path)
    for name in ("store", "dagster_home"):
        shutil.copytree(demo_run.place.folder / name, tmp_path / name)
    shown = copied.command("demo", PODCAST_ENGINES="{}", COLUMNS="80")
    assert shown.returncode == 0, shown.stderr
    lines = shown.stdout.splitlines()
    assert sum(max(1, math.ceil(len(line) / 80)) for line in lines) <= 24
    for file in ("city-music.m4a", "morning-team.mp3", "night-science.mp3"):
        assert any(line.startswith(file) for line in lines)
    assert "that its header declares" in shown.stdout, "why one file failed"
    assert "SPEAKER_00" in shown.stdout
    assert "samples loaded with datasets" in shown.stdout
    assert any(line.startswith("ds = load_dataset(") for line in lines)
    assert "make dev" in lines[-1]
    assert "Warning" not in shown.stderr


def test_a_materialization_shows_what_is_kept_and_the_next_batch_is_compared_with_it(sample_run: SampleRun) -> None:
    key = dg.AssetKey("quality_scores")
    with dg.DagsterInstance.from_config(str(sample_run.place.folder / "dagster_home")) as instance:
        [kept] = earlier_kept_hours(instance, key, load_policy("asr").digest, [])
        facts = instance.fetch_materializations(key, limit=1).records[0].asset_materialization
    rows = table(sample_run, "hf_shards")
    assert kept.batch == sample_run.batch
    assert kept.hours == pytest.approx(float(rows["duration"].sum()) / 3600, abs=1e-4)
    assert kept.hours_kept == pytest.approx(float(rows.filter("keep")["duration"].sum()) / 3600, abs=1e-4)
    assert facts is not None
    for name in ("distributions", "what_is_kept", "episode_with_most_rejected"):
        assert "](data:image/png;base64," in str(facts.metadata[name].value)


def test_another_policy_runs_no_model_and_seals_nothing_again(sample_run: SampleRun, sample_copy: Place) -> None:
    copied = replace(sample_run, place=sample_copy)
    again = sample_copy.command("demo", "--json", PODCAST_POLICY="all")
    assert not PROGRESS.search(again.stderr)
    assert shards(json.loads(again.stdout)) == shards(sample_run.report)
    rows = table(copied, "hf_shards")
    assert rows["policy"].unique().to_list() == ["all-v1"]
    assert rows["keep"].all()
    back = sample_copy.command("demo", "--json")
    assert shards(json.loads(back.stdout)) == shards(sample_run.report)
    assert table(copied, "hf_shards")["policy"].unique().to_list() == ["asr-v4"]
