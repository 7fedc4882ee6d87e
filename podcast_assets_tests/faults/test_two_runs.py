"""Two processes take on the same batch at the same moment."""

from functools import partial

import pytest

from podcast_assets_tests.conftest import Place, SampleRun
from podcast_assets_tests.faults.made import assert_once, output_hashes
from podcast_assets_tests.faults.processes import started, wait_for
from podcast_assets_tests.forked import Child

pytestmark = pytest.mark.faults


def waits_for_the_batch(process: Child) -> bool:
    assert process.running, process.err
    return "waiting for another run of this batch" in process.err


def test_two_commands_at_once_take_turns_and_agree(short_place: Place, short_run: SampleRun) -> None:
    short_place.command("init")  # so that both do not make Dagster's database at the same moment
    with short_place.store.batch_lock("sample"):
        both = [started(short_place, "demo") for _ in range(2)]
        for process in both:
            wait_for("the command", partial(waits_for_the_batch, process))
    assert [process.wait() for process in both] == [0, 0], [process.err for process in both]
    done = [process.err.count("sample: transcribe 4 of 4") for process in both]
    assert sorted(done) == [0, 1], "each episode is transcribed by one of them, and taken by the other"
    assert output_hashes(short_place.store) == output_hashes(short_run.store)
    assert_once(short_place.store)
