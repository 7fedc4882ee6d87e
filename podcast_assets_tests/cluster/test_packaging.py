"""Shards of both grains, encoded where PODCAST_COMPUTE says: on workers of Ray as in the run's own process, with the same bytes."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

pytest.importorskip("ray", reason="the extra `ray` is not installed")

import ray

from podcast_assets.config.settings import Settings
from podcast_assets.defs.assets.episode_shards import episode_shards
from podcast_assets.defs.assets.hf_shards import hf_shards
from podcast_assets.defs.partitions import batches
from podcast_assets.defs.resources import PipelineResource, StoreResource
from podcast_assets.store.commits import CommittedTable
from podcast_assets.store.store import Store
from podcast_assets_tests.noise_batch import EPISODES, commit_noise


@pytest.fixture(scope="module", autouse=True)
def ended_cluster() -> Iterator[None]:
    yield
    ray.shutdown()


def packaged(folder: Path, **settings: Any) -> tuple[dict[str, str], set[str]]:
    """SHA-256 of everything that is sealed, by path; and the processes that encoded it."""
    store = Store.at(folder)
    commit_noise(store, "b")
    how = Settings(store=str(folder), profile="demo", grains="segments,episodes", **settings)
    resources = {"store": StoreResource(root=str(folder)), "pipeline": PipelineResource.of(how)}
    with dg.instance_for_test() as instance:
        instance.add_dynamic_partitions(batches.name or "", ["b"])
        assert dg.materialize(
            [hf_shards.definition(None), episode_shards.definition(None)],
            instance=instance,
            resources=resources,
            partition_key="b",
        ).success
    by = [
        CommittedTable.read(store, asset, "b").provenance["worker"].to_list()
        for asset in ("hf_shards", "episode_shards")
    ]
    assert [len(workers) for workers in by] == [len(EPISODES)] * 2
    sealed = folder / "sealed"
    files = {p.relative_to(sealed).as_posix(): p for p in sealed.rglob("*.tar")}
    return {name: hashlib.sha256(p.read_bytes()).hexdigest() for name, p in files.items()}, set(by[0]) | set(by[1])


def test_both_grains_are_encoded_on_the_workers_that_the_settings_ask_for(tmp_path: Path) -> None:
    here, own = packaged(tmp_path / "here")
    # every core is one worker's: the second grain gets them when the first has given them back
    there, workers = packaged(tmp_path / "there", compute="ray", min_workers=2, worker_cpus=1)
    assert {w.rpartition(":")[2] for w in own} == {str(os.getpid())}
    assert workers
    assert str(os.getpid()) not in {w.rpartition(":")[2] for w in workers}
    assert there == here
    assert {Path(name).parts[2] for name in here} == {"data", "episode_data"}
