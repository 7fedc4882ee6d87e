"""Many batches: few runs, each batch committed on its own."""

from pathlib import Path

import dagster as dg
import pytest

from podcast_assets.config.settings import Settings
from podcast_assets.defs.assets.raw_audio import raw_audio
from podcast_assets.defs.build import build_definitions
from podcast_assets.defs.partitions import BATCHES, PARTITION_RANGE_END, PARTITION_RANGE_START
from podcast_assets.store.schema import ASSETS
from podcast_assets.store.store import Store, table_key
from podcast_assets_tests.committed import commit_batch, failure
from podcast_assets_tests.conftest import Place
from podcast_assets_tests.short_clip import drop_clip


@pytest.mark.usefixtures("dagster_home")
def test_backfill_here_goes_over_all_batches_in_one_run(place: Place) -> None:
    drop_clip(place.store, "one", 5)
    drop_clip(place.store, "two", 6)
    result = place.command("backfill", "--all", "--here", "--profile", "demo")
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("run ") == 1
    for batch in ("one", "two"):
        for asset in ASSETS:
            assert place.store.exists(table_key(asset, batch))
    with dg.DagsterInstance.from_config(str(place.folder / "dagster_home")) as instance:
        for asset in ASSETS:
            assert instance.get_materialized_partitions(dg.AssetKey(asset)) == {"one", "two"}
        one = instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=raw_audio.key, asset_partitions=["one"]), limit=1
        ).records[0]
        assert one.asset_materialization is not None
        assert one.asset_materialization.metadata["dagster/uri"].value == str(
            place.store.path("tables/raw_audio/one.parquet")
        )


@pytest.mark.usefixtures("dagster_home")
def test_backfill_here_of_a_batch_without_a_readable_episode_is_a_failure(place: Place) -> None:
    place.store.write("incoming/bad/one.mp3", b"not audio" * 1000)
    place.store.write("incoming/bad/two.mp3", b"no audio either" * 1000)
    result = place.command("backfill", "bad", "--here", "--profile", "demo")
    assert result.returncode == 1, result.stderr
    assert "no episode of batch bad is done: 2 failed; the first: one.mp3: " in result.stderr
    assert "bad: done" not in result.stderr


def test_a_batch_that_is_gone_takes_no_other_down(tmp_path: Path) -> None:
    store = Store.at(tmp_path)
    for batch in ("a", "c"):
        drop_clip(store, batch, 5)
    definitions = build_definitions(Settings(store=str(tmp_path), profile="embedded"))
    job = definitions.resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(BATCHES, ["a", "b", "c"])
        result = job.execute_in_process(
            instance=instance,
            asset_selection=[raw_audio.key],
            tags={PARTITION_RANGE_START: "a", PARTITION_RANGE_END: "c"},
            raise_on_error=False,
        )
        assert not result.success
        (failure,) = result.filter_events(lambda e: e.is_step_failure)
        error = failure.step_failure_data.error
        assert error is not None
        assert "1 of 3 batches failed" in error.message
        assert "batch b: nothing of that name lies under" in error.message
        assert instance.get_materialized_partitions(raw_audio.key) == {"a", "c"}
    assert [store.exists(table_key("raw_audio", b)) for b in "abc"] == [True, False, True]


@pytest.mark.usefixtures("dagster_home")
def test_unknown_batches_are_named(place: Place) -> None:
    result = place.command("backfill", "nowhere")
    assert result.returncode == 2
    assert "not found under incoming/: nowhere" in result.stderr


def test_upstream_that_is_not_there_is_named(tmp_path: Path) -> None:
    drop_clip(Store.at(tmp_path), "a", 5)
    job = build_definitions(Settings(store=str(tmp_path), profile="embedded")).resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(BATCHES, ["a"])
        with pytest.raises(Exception, match="batch a: raw_audio is not materialized"):
            job.execute_in_process(
                instance=instance, asset_selection=[dg.AssetKey("diarized_segments")], partition_key="a"
            )


@pytest.mark.usefixtures("dagster_home")
def test_what_is_missing_what_failed_and_to_cancel(place: Place) -> None:
    """No daemon is needed to ask for a backfill."""
    for batch in ("good", "may-pass", "bad-data", "never"):
        place.store.write(f"incoming/{batch}.tar", b"x")
    commit_batch(place.store, "good")
    commit_batch(place.store, "may-pass", failure("transcribe"))
    commit_batch(place.store, "bad-data", failure("ingest", permanent=True))
    requested = {}
    for option in ("--missing", "--failed"):
        result = place.command("backfill", option)
        assert result.returncode == 0, result.stderr
        requested[option] = result.stderr.split()[1]
    with dg.DagsterInstance.from_config(str(place.folder / "dagster_home")) as instance:
        chosen = {}
        for option, identity in requested.items():
            backfill = instance.get_backfill(identity)
            assert backfill is not None
            assert backfill.asset_backfill_data is not None
            assert backfill.tags["dagster/max_runtime"] == "86400"
            keys = backfill.asset_backfill_data.target_subset.iterate_asset_partitions()
            chosen[option] = {str(key.partition_key) for key in keys}
    assert chosen == {"--missing": {"never"}, "--failed": {"may-pass"}}
    nothing = place.command("backfill", "good", "--missing")
    assert (nothing.returncode, nothing.stderr.strip()) == (0, "nothing to do")
    assert place.command("backfill", "--cancel", requested["--failed"]).returncode == 0
    for identity, why in (
        (requested["--failed"], "cannot be canceled: it is already canceling"),
        ("nope", "there is no backfill nope"),
    ):
        again = place.command("backfill", "--cancel", identity)
        assert again.returncode == 2
        assert why in again.stderr
