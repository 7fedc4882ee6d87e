"""What materializing batches asks of the store: no listing of other batches, and no table twice for one stage."""

from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg
import pytest

from podcast_assets.config.settings import Settings
from podcast_assets.defs.assets.raw_audio import raw_audio
from podcast_assets.defs.partitions import BATCHES
from podcast_assets.defs.resources import PipelineResource, StoreResource
from podcast_assets.store.store import Store, table_key


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


def materialize(instance: dg.DagsterInstance, store: Store, *assets: dg.AssetsDefinition, **given: Any) -> None:
    settings = Settings(store=str(store.root), profile="embedded")
    resources = {"store": StoreResource(root=settings.store), "pipeline": PipelineResource.of(settings)}
    assert dg.materialize(list(assets), instance=instance, resources=resources, **given).success


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
    asset = raw_audio.definition(None)
    if ranged:
        ends = {"dagster/asset_partition_range_start": chosen[0], "dagster/asset_partition_range_end": chosen[-1]}
        materialize(instance, store, asset, tags=ends)
    else:
        for name in chosen:
            materialize(instance, store, asset, partition_key=name)
    assert all(store.exists(table_key("raw_audio", name)) for name in chosen)
    assert listed == [folder for name in chosen for folder in ("incoming", f"incoming/{name}/*")]
