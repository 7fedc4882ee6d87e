"""Damaged files of the store are reported, and made again from the files that are whole."""

from pathlib import Path

import dagster as dg
import pytest

from podcast_assets.config.settings import Settings
from podcast_assets.defs.build import build_definitions
from podcast_assets.defs.launch import run_in_process
from podcast_assets.defs.partitions import BATCHES
from podcast_assets.store.commits import CommittedTable
from podcast_assets.store.schema import ASSETS
from podcast_assets.store.store import failures_key, provenance_key, table_key
from podcast_assets_tests import miniature
from podcast_assets_tests.conftest import SampleRun
from podcast_assets_tests.faults.made import STAGES, assert_once, copy_store, local_path, output_hashes

pytestmark = pytest.mark.faults


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_every_table_is_damaged_and_a_shard_cut_off_and_one_run_heals_them(
    short_run: SampleRun, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = copy_store(short_run, tmp_path).store
    tables = [local_path(store, table_key(asset, "sample")) for asset in ASSETS]
    beside = [
        local_path(store, key(stage, "sample")) for key in (provenance_key, failures_key) for stage in STAGES.values()
    ]
    shards = sorted(local_path(store, "sealed/sample").rglob("*.tar"))
    for path in tables:
        flip_a_bit(path)
    for path in (*beside, shards[0]):
        cut(path)
    with dg.instance_for_test() as instance:
        settings = Settings(store=str(store.root), profile="demo", dnsmos_hop=9, engines=miniature.ENGINES)
        outcome = run_in_process(instance, settings, ["sample"], source="command")
        assert outcome.succeeded, outcome.error
    for path in tables:
        assert f"{path} is damaged ({path.stat().st_size:,} bytes; its checksum differs)" in caplog.text
    assert output_hashes(store) == output_hashes(short_run.store)
    assert_once(store)


def test_a_table_that_only_others_read_is_named(short_run: SampleRun, tmp_path: Path) -> None:
    store = copy_store(short_run, tmp_path).store
    path = local_path(store, table_key("raw_audio", "sample"))
    cut(path)
    settings = Settings(store=str(store.root), profile="demo", engines=miniature.ENGINES)
    job = build_definitions(settings).resolve_implicit_global_asset_job_def()
    with dg.instance_for_test() as instance:
        instance.add_dynamic_partitions(BATCHES, ["sample"])
        result = job.execute_in_process(
            instance=instance,
            asset_selection=[dg.AssetKey("diarized_segments")],
            partition_key="sample",
            raise_on_error=False,
        )
    (failure,) = result.filter_events(lambda e: e.is_step_failure)
    error = failure.step_failure_data.error
    assert error is not None
    assert f"batch sample: {path} is damaged (" in str(error)
    assert "materialize raw_audio again" in str(error)


def test_working_audio_that_is_cut_off_is_one_failure_and_the_next_run_makes_it_again(
    short_run: SampleRun, tmp_path: Path
) -> None:
    store = copy_store(short_run, tmp_path).store
    for asset in ("diarized_segments", "transcripts", "quality_scores", "hf_shards"):
        store.remove(table_key(asset, "sample"))
    audio = store.read_table(table_key("raw_audio", "sample"), ASSETS["raw_audio"])
    assert audio is not None
    row = audio.filter(source="water-history.opus").row(0, named=True)
    cut(local_path(store, row["working"]))
    settings = Settings(store=str(store.root), profile="demo", dnsmos_hop=9, engines=miniature.ENGINES)
    with dg.instance_for_test() as instance:
        first = run_in_process(instance, settings, ["sample"], source="command")
        assert first.succeeded, first.error
        failures = CommittedTable.read(store, "diarized_segments", "sample").failures
        assert failures["source"].to_list() == ["water-history.opus"]
        assert "materialize raw_audio again" in failures["message"][0]
        assert not failures["permanent"][0]
        second = run_in_process(instance, settings, ["sample"], source="command")
        assert second.succeeded, second.error
    assert output_hashes(store) == output_hashes(short_run.store)
    assert_once(store)
