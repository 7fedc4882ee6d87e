"""A model that does not load: the run ends at once, says why in one line, and costs no episode an attempt."""

import json
import shutil
from pathlib import Path

import pytest

from podcast_assets.store.schema import ASSETS
from podcast_assets.store.stage_names import STAGES
from podcast_assets.store.store import failures_key, table_key
from podcast_assets_tests import miniature
from podcast_assets_tests.conftest import SampleRun
from podcast_assets_tests.faults.made import checkpoints, copy_store
from podcast_assets_tests.faults.processes import started

pytestmark = pytest.mark.faults


def test_a_model_that_is_cut_off_ends_the_run(sample_run: SampleRun, tmp_path: Path) -> None:
    place = copy_store(sample_run, tmp_path)
    for asset in list(ASSETS)[list(ASSETS).index("transcripts") :]:
        place.store.remove(table_key(asset, "sample"))
        place.store.remove(failures_key(STAGES[asset], "sample"))
    model = Path(shutil.copytree(miniature.MODEL, tmp_path / "model"))
    whole = (model / "model.bin").read_bytes()
    (model / "model.bin").write_bytes(whole[: len(whole) // 2])

    process = started(place, "demo", PODCAST_ENGINES=json.dumps({"faster-whisper": {"model": str(model)}}))
    assert process.wait() == 1, process.err
    (told,) = [line for line in process.err.splitlines() if line.startswith("run ")]
    assert (
        f"failed: transcripts: sample: transcribe: faster-whisper: the Whisper model '{model}' cannot be loaded" in told
    )
    assert "No attempt was counted" in told
    assert not place.store.exists(table_key("transcripts", "sample"))
    assert not place.store.exists(failures_key("transcribe", "sample"))
    assert checkpoints(place.store, "transcribe") == []
