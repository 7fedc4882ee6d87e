"""Memory runs out, of the machine or of a (pretended) GPU."""

import resource
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from podcast_assets.config.settings import Settings
from podcast_assets.defs.launch import RunResult, run_in_process
from podcast_assets.speech.transcribers.faster_whisper import model as whisper
from podcast_assets.store.store import table_key
from podcast_assets_tests import miniature
from podcast_assets_tests.conftest import Place, SampleRun
from podcast_assets_tests.faults.made import assert_once, checkpoints, copy_store, output_hashes
from podcast_assets_tests.faults.processes import in_the_middle, started

pytestmark = pytest.mark.faults


@pytest.fixture
def untranscribed(short_run: SampleRun, tmp_path: Path) -> Place:
    """The sample batch up to its segments."""
    place = copy_store(short_run, tmp_path)
    for asset in ("transcripts", "quality_scores", "hf_shards"):
        place.store.remove(table_key(asset, "sample"))
    return place


def run(place: Place) -> RunResult:
    settings = Settings(store=str(place.store.root), profile="demo", dnsmos_hop=9, engines=miniature.ENGINES)
    with dg.instance_for_test() as instance:
        return run_in_process(instance, settings, ["sample"], source="command")


def test_the_machine_has_no_memory_left(untranscribed: Place, short_run: SampleRun) -> None:
    """From the first transcript on the process gets no more: it ends, however it does, with what is done kept."""
    process = started(untranscribed, "demo", stop_in="transcribe")
    in_the_middle(untranscribed, "transcribe", "transcripts", process.pid)
    limit = int(Path(f"/proc/{process.pid}/statm").read_text().split()[0]) * resource.getpagesize()
    resource.prlimit(process.pid, resource.RLIMIT_AS, (limit, limit))
    process.resume()
    code = process.wait()
    kept = len(checkpoints(untranscribed.store, "transcribe"))
    print(
        f"ended with {code}; {kept} checkpoints of transcribe kept; last line: {process.err.strip().splitlines()[-1]}"
    )
    assert code != 0
    # the memory may last to the end of the stage, whose checkpoints are its table then
    assert kept or untranscribed.store.exists(table_key("transcripts", "sample"))
    again = untranscribed.command("demo", "--json")
    assert again.returncode == 0, again.stderr
    assert output_hashes(untranscribed.store) == output_hashes(short_run.store)
    assert_once(untranscribed.store)


def test_a_gpu_without_memory_for_the_batch_gets_smaller_ones(
    untranscribed: Place, short_run: SampleRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CTranslate2's own words, raised by a double of its call while more than one window is computed at once."""
    real, refused = whisper.decode, []

    def small(model: Any, features: Any, prompts: Any, *rest: Any) -> Any:
        if len(prompts) > 1:
            refused.append(len(prompts))
            raise RuntimeError("CUDA failed with error out of memory")
        return real(model, features, prompts, *rest)

    monkeypatch.setattr(whisper, "decode", small)
    outcome = run(untranscribed)
    assert outcome.succeeded, outcome.error
    assert refused
    assert output_hashes(untranscribed.store) == output_hashes(short_run.store)


def test_a_gpu_without_memory_for_a_single_window_is_told_and_nothing_is_committed(
    untranscribed: Place, short_run: SampleRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*arguments: Any) -> Any:
        raise RuntimeError("CUDA failed with error out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(whisper, "decode", never)
        outcome = run(untranscribed)
    assert not outcome.succeeded
    print(outcome.error)
    assert outcome.error is not None
    assert "transcripts: sample: transcribe: all 4 episodes failed, and not because of their data" in outcome.error
    assert "CUDA failed with error out of memory. Fix the cause, then materialize again." in outcome.error
    assert not untranscribed.store.exists(table_key("transcripts", "sample"))
    again = run(untranscribed)
    assert again.succeeded, again.error
    assert output_hashes(untranscribed.store) == output_hashes(short_run.store)
    assert_once(untranscribed.store)
