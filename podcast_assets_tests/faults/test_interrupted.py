"""Commands that are interrupted end in one line and the exit code of the signal, and resume."""

import os
import signal

import pytest

from podcast_assets_tests.conftest import Place
from podcast_assets_tests.faults.made import checkpoints
from podcast_assets_tests.faults.processes import in_the_middle, started
from podcast_assets_tests.short_clip import drop_clip, write_clip

pytestmark = pytest.mark.faults

MESSAGE = "podcast-assets: interrupted; run the same command again to resume"


@pytest.mark.usefixtures("dagster_home")
@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_in_the_middle_of_a_stage(place: Place, signal_number: signal.Signals) -> None:
    drop_clip(place.store, "one", 2)
    write_clip(place.folder / "store/incoming/one/second.flac", 3)
    drop_clip(place.store, "two", 2)
    process = started(place, "backfill", "--all", "--here", "--profile", "demo", stop_in="ingest", batch="one")
    in_the_middle(place, "ingest", "raw_audio", process.pid, "one")
    os.kill(process.pid, signal_number)
    process.resume()
    assert process.wait() == 128 + signal_number, process.err
    assert process.err.splitlines()[-1] == MESSAGE
    assert "Traceback" not in process.err
    assert not place.store.exists("tables/raw_audio/two.parquet"), "a batch was started after the interruption"
    assert checkpoints(place.store, "ingest", "one")
