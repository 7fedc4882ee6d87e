"""Events in Dagster show no texts or titles, and a takedown removes those of earlier versions without deleting anything else."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from podcast_assets.defs.assets.facts import preview
from podcast_assets.defs.assets.transcripts import transcripts
from podcast_assets.defs.dagster_internals import execute_in_location
from podcast_assets.defs.partitions import add_batches
from podcast_assets.defs.runs.history import remove_texts

SECRET = "what was said"


@pytest.fixture
def instance(dagster_home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(dagster_home)) as found:
        yield found


@dg.op
def materialize_as_before(context: dg.OpExecutionContext) -> None:
    """Record what the version before recorded, for a run of two batches."""
    for batch in ("one", "two"):
        metadata = {
            "words": 3,
            "segments": dg.MetadataValue.md(
                f"| segment_id | text | language |\n|---|---|---|\n| {batch} | {SECRET} | en |"
            ),
            "failures": dg.MetadataValue.md("| source | message |\n|---|---|\n| a.mp3 | text of an error |"),
        }
        context.log_event(dg.AssetMaterialization(transcripts.key, partition=batch, metadata=metadata))


@dg.job
def old_run() -> None:
    materialize_as_before()


def _texts_in_files(instance: dg.DagsterInstance) -> dict[str, set[str]]:
    """Batch → the places that show its text: the index of all runs, the logs of runs, and the latest materialization."""
    shown: dict[str, set[str]] = {"one": set(), "two": set()}

    def look(place: str, event: dg.EventLogEntry) -> None:
        assert event.asset_materialization is not None
        metadata = event.asset_materialization.metadata
        assert metadata["words"].value == 3
        assert "text of an error" in str(metadata["failures"].value)
        if any(SECRET in str(value.value) for value in metadata.values()):
            shown[event.asset_materialization.partition or ""].add(place)

    for run in instance.get_runs():
        for record in instance.get_records_for_run(
            run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION
        ).records:
            look("log", record.event_log_entry)
    for record in instance.fetch_materializations(transcripts.key, limit=10).records:
        look("index", record.event_log_entry)
    latest = instance.get_latest_materialization_event(transcripts.key)
    assert latest is not None
    look("latest", latest)
    return shown


def test_the_texts_of_one_batch_go_and_every_run_and_materialization_stays(instance: dg.DagsterInstance) -> None:
    add_batches(instance, ["one", "two"])
    run_id = execute_in_location(old_run, instance, "podcast_assets").run_id
    assert _texts_in_files(instance) == {"one": {"log", "index"}, "two": {"log", "index", "latest"}}
    assert remove_texts(instance, ["two", "absent"], dry_run=True) == 1
    assert remove_texts(instance, ["two", "absent"]) == 1
    assert _texts_in_files(instance) == {"one": {"log", "index"}, "two": set()}
    assert remove_texts(instance, ["two"]) == 0, "nothing is left to remove"
    assert [run.run_id for run in instance.get_runs()] == [run_id]
    assert instance.get_materialized_partitions(transcripts.key) == {"one", "two"}


@pytest.mark.parametrize("column", ["text", "title", "text_punctuated"])
def test_no_preview_shows_what_was_said(column: str) -> None:
    with pytest.raises(ValueError, match=column):
        preview(pl.DataFrame({"segment_id": ["a"], column: [SECRET]}), ["segment_id", column])
