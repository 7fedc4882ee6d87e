"""The sample batch under moderation, killed with -9 in the middle: nothing is judged again, and no other table changes."""

import json

import polars as pl
import pytest

from podcast_assets.store.commits import CommittedTable
from podcast_assets_tests.conftest import Place, SampleRun
from podcast_assets_tests.faults.made import checkpoints, output_hashes
from podcast_assets_tests.faults.processes import in_the_middle, started

pytestmark = pytest.mark.faults


def test_the_sample_is_judged_and_resumes_without_judging_again(sample_copy: Place, sample_run: SampleRun) -> None:
    texts = CommittedTable.read(sample_copy.store, "transcripts", "sample").rows.filter(pl.col("text") != "")
    spoken = texts["episode_id"].n_unique()
    process = started(sample_copy, "demo", stop_in="moderate", after=2, PODCAST_MODERATION="profanity")
    in_the_middle(sample_copy, "moderate", "content_flags", process.pid)
    process.kill()
    kept = {path.name: path.stat().st_mtime_ns for path in checkpoints(sample_copy.store, "moderate")}
    assert 2 <= len(kept) < spoken
    last = sample_copy.command("demo", "--json", PODCAST_MODERATION="profanity")
    assert last.returncode == 0, last.stderr
    assert f"sample: moderate takes {len(kept)} of {spoken} episodes from before" in last.stderr
    assert not checkpoints(sample_copy.store, "moderate")
    flags = CommittedTable.read(sample_copy.store, "content_flags", "sample")
    judged = flags.rows.explode("segment_ids")
    assert set(judged["segment_ids"]) == set(texts["segment_id"])
    assert set(flags.fingerprints) == set(texts["episode_id"])
    assert flags.rows["probability"].is_between(0, 1).all()
    assert output_hashes(sample_copy.store) == output_hashes(sample_run.store)
    tried = sample_copy.command("moderation", "try", "profanity", "--sample", "4", "--json")
    assert tried.returncode == 0, tried.stderr
    trial = json.loads(tried.stdout)
    assert (trial["episodes"], trial["windows"], len(trial["sample"])) == (spoken, flags.rows.height, 4)
    assert trial["probes_right"] == trial["probes"] == 4
