"""`podcast-assets` killed with -9 in every stage, one after the other; the last start ends in the bytes of an undisturbed run."""

import re

import pytest

from podcast_assets.store.stage_names import STAGES
from podcast_assets_tests.conftest import Place, SampleRun
from podcast_assets_tests.faults.made import assert_once, checkpoints, output_hashes, printed_shards
from podcast_assets_tests.faults.processes import in_the_middle, started

pytestmark = pytest.mark.faults


def test_killed_in_every_stage_in_turn_and_a_checkpoint_cut_off(short_place: Place, short_run: SampleRun) -> None:
    kept: dict[str, int] = {}
    logs: list[str] = []
    for asset, stage in STAGES.items():
        process = started(short_place, "demo", stop_in=stage)
        in_the_middle(short_place, stage, asset, process.pid)
        process.kill()
        logs.append(process.err)
        kept[stage] = len(checkpoints(short_place.store, stage))
        if stage == "diarize":
            # bit rot: half of a finished result is gone
            rotten = checkpoints(short_place.store, stage)[0]
            rotten.write_bytes(rotten.read_bytes()[: rotten.stat().st_size // 2])
    last = short_place.command("demo", "--json")
    assert last.returncode == 0, last.stderr
    for stage, log in zip(STAGES.values(), [*logs[1:], last.stderr], strict=True):
        assert "had died and is marked as failed" in log
        episodes = 5 if stage == "ingest" else 4
        taken = re.search(rf"sample: {stage} takes (\d+) of {episodes} episodes from before", log)
        whole = kept[stage] - (stage == "diarize")
        assert (int(taken[1]) if taken else 0) == whole, log
        assert ("is damaged" in log) == (stage == "diarize"), log
    print(f"checkpoints at the kill, taken by the next start: {kept}")
    assert printed_shards(last.stdout) == [s["sha256"] for s in short_run.report["shards"]]
    assert output_hashes(short_place.store) == output_hashes(short_run.store)
    assert_once(short_place.store)
