"""Shards of both grains, encoded where PODCAST_COMPUTE says: on workers of Ray as in the run's own process, with the same bytes."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
import pytest

pytest.importorskip("ray", reason="the extra `ray` is not installed")

import ray

from podcast_assets.audio.encode import encode
from podcast_assets.config.settings import Settings
from podcast_assets.defs.assets.hf_shards import hf_shards
from podcast_assets.defs.partitions import batches
from podcast_assets.defs.resources import PipelineResource, StoreResource
from podcast_assets.store.commits import CommittedTable, commit
from podcast_assets.store.schema import FAILURES, PROVENANCE, RAW_AUDIO, Columns, empty_table, make_table
from podcast_assets.store.store import Store
from podcast_assets_tests import scored

RATE = 24_000
EPISODES = ("one", "two", "three")


@pytest.fixture(scope="module", autouse=True)
def ended_cluster() -> Iterator[None]:
    yield
    ray.shutdown()


def full(columns: Columns, rows: list[dict[str, Any]]) -> pl.DataFrame:
    return make_table([dict.fromkeys(columns) | row for row in rows], columns)


def arrived(store: Store) -> None:
    """A batch of short episodes of noise, two segments each, up to its scores."""
    audio, segments = [], []
    for number, name in enumerate(EPISODES):
        data = encode(np.random.default_rng(number).normal(0, 0.1, 3 * RATE).astype(np.float32), RATE, "flac")
        sha256 = hashlib.sha256(data).hexdigest()
        store.write(f"audio/original/{name}", data)
        audio.append(
            {"episode_id": name, "source": f"{name}.flac", "status": "done", "sha256": sha256, "duration": 3.0,
             "original": f"audio/original/{name}", "container": "flac", "codec": "flac", "sample_rate": RATE,
             "channels": 1, "audio_streams": 1, "has_video": False}
        )  # fmt: skip
        segments += [
            {"episode_id": name, "segment_id": f"{name}-{i}", "segment_index": i, "start": float(i), "end": i + 1.0,
             "duration": 1.0}
            for i in range(2)
        ]  # fmt: skip
    done = full(PROVENANCE, [{"episode_id": name, "fingerprint": "f" * 32} for name in EPISODES])
    for asset, rows in {"raw_audio": full(RAW_AUDIO, audio), **scored.tables(*segments)}.items():
        commit(store, asset, "b", rows, done, empty_table(FAILURES))


def packaged(folder: Path, **settings: Any) -> tuple[dict[str, str], set[str]]:
    """SHA-256 of everything that is sealed, by path; and the processes that encoded it."""
    store = Store.at(folder)
    arrived(store)
    how = Settings(store=str(folder), profile="demo", grains="segments,episodes", **settings)
    resources = {"store": StoreResource(root=str(folder)), "pipeline": PipelineResource.of(how)}
    with dg.instance_for_test() as instance:
        instance.add_dynamic_partitions(batches.name or "", ["b"])
        assert dg.materialize(
            [hf_shards.definition(None)], instance=instance, resources=resources, partition_key="b"
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
    # every core is one worker's: a second pool would wait for ever
    there, workers = packaged(tmp_path / "there", compute="ray", min_workers=2, worker_cpus=1)
    assert {w.rpartition(":")[2] for w in own} == {str(os.getpid())}
    assert workers
    assert str(os.getpid()) not in {w.rpartition(":")[2] for w in workers}
    assert there == here
    assert {Path(name).parts[2] for name in here} == {"data", "episode_data"}
