"""A retry that a program asks for becomes a backfill in Dagster, unless there is no instance or the batch is at work."""

from pathlib import Path

import dagster as dg
import pytest

from podcast_assets.cli.pipeline import StorePipeline
from podcast_assets.common.errors import Misconfigured
from podcast_assets.config.settings import Settings
from podcast_assets.store.store import Store
from podcast_assets_tests.committed import commit_batch, failure


def test_a_retry_becomes_a_backfill(dagster_home: Path, tmp_path: Path) -> None:
    store = Store.at(tmp_path / "store")
    commit_batch(store, "a", failure("transcribe"))
    settings = Settings(dagster_home=dagster_home, store=str(tmp_path / "store"), redo_hours=float("inf"))
    identity = StorePipeline(settings, store).retry(["a"])
    with dg.DagsterInstance.get() as instance:
        backfill = instance.get_backfill(identity)
    assert backfill is not None
    assert backfill.partition_names in (None, ["a"])


def test_without_an_instance_it_says_what_to_do(tmp_path: Path) -> None:
    settings = Settings(dagster_home=tmp_path / "home")
    with pytest.raises(Misconfigured, match="podcast-assets dev"):
        StorePipeline(settings, Store.at(tmp_path / "store")).retry(["a"])
