"""What materializing batches asks of the store: no listing of other batches, and no table twice for one stage."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg
import pytest

from podcast_assets.config.settings import Settings
from podcast_assets.defs.assets.batches import BatchAsset
from podcast_assets.defs.assets.diarized_segments import diarized_segments
from podcast_assets.defs.assets.episode_shards import episode_shards
from podcast_assets.defs.assets.hf_shards import hf_shards
from podcast_assets.defs.assets.quality_scores import quality_scores
from podcast_assets.defs.assets.raw_audio import raw_audio
from podcast_assets.defs.assets.transcripts import transcripts
from podcast_assets.defs.partitions import BATCHES
from podcast_assets.defs.resources import PipelineResource, StoreResource
from podcast_assets.store.schema import Columns
from podcast_assets.store.store import Store, table_key
from podcast_assets_tests import miniature
from podcast_assets_tests.conftest import Place


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


def materialize(instance: dg.DagsterInstance, settings: Settings, asset: BatchAsset, **given: Any) -> None:
    resources = {"store": StoreResource(root=settings.store), "pipeline": PipelineResource.of(settings)}
    assert dg.materialize([asset.definition(None)], instance=instance, resources=resources, **given).success


@pytest.fixture
def listed(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders below incoming/ that are listed; `/*` follows those of which all files below are."""
    folders: list[str] = []

    def spied(original: Callable[..., Any], suffix: str) -> Callable[..., Any]:
        def spy(self: Any, folder: str) -> Any:
            if folder.split("/")[0] == "incoming":
                folders.append(folder + suffix)
            return original(self, folder)

        return spy

    backend = type(store.storage)
    for method, suffix in (("list", "/*"), ("list_folder", ""), ("names", "")):
        monkeypatch.setattr(backend, method, spied(getattr(backend, method), suffix))
    return folders


@pytest.mark.parametrize("ranged", [True, False], ids=["one run", "a run for each"])
def test_a_backfill_lists_each_batch_once_and_no_other(
    store: Store, instance: dg.DagsterInstance, listed: list[str], ranged: bool
) -> None:
    chosen = ["show", "show-p0000", "show1", "show10"]
    for name in [*chosen, "show2", "sho", "other"]:
        store.write(f"incoming/{name}/a.txt", b"no audio")
    instance.add_dynamic_partitions(BATCHES, chosen)
    settings = Settings(store=str(store.root), profile="embedded", engines=miniature.ENGINES)
    if ranged:
        ends = {"dagster/asset_partition_range_start": chosen[0], "dagster/asset_partition_range_end": chosen[-1]}
        materialize(instance, settings, raw_audio, tags=ends)
    else:
        for name in chosen:
            materialize(instance, settings, raw_audio, partition_key=name)
    assert all(store.exists(table_key("raw_audio", name)) for name in chosen)
    assert listed == [folder for name in chosen for folder in ("incoming", f"incoming/{name}/*")]


def test_no_stage_reads_a_table_twice(
    clip_copy: Place, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither where the batch is materialized again: what is committed is then read to resume, and never for a check."""
    reads: Counter[str] = Counter()
    original = Store.read_noted_table

    def spy(self: Store, key: str, columns: Columns) -> Any:
        reads[key] += 1
        return original(self, key, columns)

    list_names = Store.names

    def spy_on_names(self: Store, folder: str) -> set[str]:
        if folder.startswith("discards/"):
            reads[folder] += 1
        return list_names(self, folder)

    monkeypatch.setattr(Store, "read_noted_table", spy)
    monkeypatch.setattr(Store, "names", spy_on_names)
    instance.add_dynamic_partitions(BATCHES, ["one"])
    settings = Settings(
        store=str(clip_copy.store.root),
        profile="demo",
        engines=miniature.ENGINES,
        dnsmos_hop=9,
        grains="segments,episodes",
        near_duplicates=False,
    )
    # the episodes' shards are new at first
    stages = [raw_audio, diarized_segments, transcripts, quality_scores, hf_shards, episode_shards, episode_shards]
    repeated: dict[str, list[str]] = {}
    for asset in stages:
        reads.clear()
        materialize(instance, settings, asset, partition_key="one")
        name = asset.key.to_user_string()
        assert reads[table_key(name, "one")], f"{name} reads its own table, to resume"
        assert reads["discards/one"] == 1, f"{name} leaves out what was discarded"
        repeated[name] = sorted(key for key, times in reads.items() if times > 1)
    assert not any(repeated.values()), repeated
