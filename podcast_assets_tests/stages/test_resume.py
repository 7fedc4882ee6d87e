"""A run that is killed is taken up where it was, and what comes out is the same to the byte."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest

from podcast_assets.store.store import failures_key, provenance_key, table_key
from podcast_assets_tests.conftest import Place, SampleRun
from podcast_assets_tests.faults.processes import in_the_middle, started


@pytest.mark.parametrize(
    ("asset", "stage", "checkpoints"),
    [("raw_audio", "ingest", 1), ("transcripts", "transcribe", 2), ("hf_shards", "package", 1)],
)
def test_kill_9_in_the_middle_of_a_stage(
    sample_copy: Place, sample_run: SampleRun, asset: str, stage: str, checkpoints: int
) -> None:
    place = sample_copy
    for undone, of in ((asset, stage), ("hf_shards", "package")):
        for key in (table_key(undone, "sample"), provenance_key(of, "sample"), failures_key(of, "sample")):
            place.store.remove(key)
    place.store.remove("sealed")
    process = started(place, "demo", "--json", stop_in=stage, after=checkpoints)
    in_the_middle(place, stage, asset, process.pid)
    process.kill()
    again = place.command("demo", "--json")
    assert again.returncode == 0, again.stderr
    episodes = 5 if stage == "ingest" else 4
    assert "had died and is marked as failed" in again.stderr
    done = int(again.stderr.split(f"{stage} takes ")[1].split(" of ")[0])
    assert checkpoints <= done < episodes
    assert f"sample: {stage} 1 of {episodes - done}" in again.stderr
    report = json.loads(again.stdout)
    assert [s["sha256"] for s in report["shards"]] == [s["sha256"] for s in sample_run.report["shards"]]
    for name, path in sample_run.report["tables"].items():
        assert Path(report["tables"][name]).read_bytes() == Path(path).read_bytes(), name


def test_a_dead_run_is_ended_and_its_slot_is_freed(dagster_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose process is gone would hold the only slot of the pool for ever."""
    from podcast_assets.defs.instance import end_dead_runs
    from podcast_assets.defs.runs.process import PID, process_tags

    monkeypatch.setenv("DAGSTER_HOME", str(dagster_home))
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    with dg.DagsterInstance.get() as instance:
        tags = process_tags()
        dead = instance.create_run_for_job(_nothing, tags=tags | {PID: str(child.pid)})
        alive = instance.create_run_for_job(_nothing, tags=tags | {PID: str(os.getpid())})
        for run in (dead, alive):
            instance.report_engine_event("starting", run)
            instance.handle_new_event(_started(run.run_id))
        instance.event_log_storage.set_concurrency_slots("gpu", 1)
        claim = instance.event_log_storage.claim_concurrency_slot("gpu", dead.run_id, "step")
        assert claim.is_claimed
        assert end_dead_runs(instance) == [dead.run_id]
        ended = instance.get_run_by_id(dead.run_id)
        assert ended is not None
        assert ended.status == dg.DagsterRunStatus.FAILURE
        assert instance.event_log_storage.claim_concurrency_slot("gpu", alive.run_id, "step").is_claimed


@dg.job
def _nothing() -> None:
    """A job for runs that only need to exist."""


def _started(run_id: str) -> dg.EventLogEntry:
    from dagster._core.events import DagsterEvent, DagsterEventType

    return dg.EventLogEntry(
        error_info=None,
        level="info",
        user_message="",
        run_id=run_id,
        timestamp=time.time(),
        job_name="_nothing",
        dagster_event=DagsterEvent(DagsterEventType.RUN_START.value, "_nothing"),
    )
