"""Two processes take on the same batch at the same moment."""

import pytest

from podcast_assets_tests.conftest import Place, SampleRun
from podcast_assets_tests.faults.made import assert_once, made
from podcast_assets_tests.faults.processes import ended, started

pytestmark = pytest.mark.faults


def test_two_commands_at_once_take_turns_and_agree(short_place: Place, short_run: SampleRun) -> None:
    short_place.command("init")  # so that both do not make Dagster's database at the same moment
    logs = [short_place.folder / f"{n}.log" for n in range(2)]
    both = [started(short_place, "demo", log=log) for log in logs]
    try:
        assert [ended(process) for process in both] == [0, 0], [log.read_text() for log in logs]
    finally:
        for process in both:
            process.kill()
            process.join()
    told = [log.read_text() for log in logs]
    assert any("waiting for another run of this batch" in text for text in told)
    done = [text.count("sample: transcribe 4 of 4") for text in told]
    assert sorted(done) == [0, 1], "each episode is transcribed by one of them, and taken by the other"
    assert made(short_place.store) == made(short_run.store)
    assert_once(short_place.store)
