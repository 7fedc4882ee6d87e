"""The asset `catalog`: loads a batch, and a catalog that does not answer holds nothing up."""

from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import Engine, func, select

from podcast_assets.catalog.tables import SEGMENTS
from podcast_assets.config.settings import Settings
from podcast_assets.defs.build import build_definitions
from podcast_assets.defs.jobs import batch_selection
from podcast_assets.defs.partitions import BATCHES
from podcast_assets.store.store import Store
from podcast_assets_tests.catalog.filled_store import commit_filled_batch


def materialize(settings: Settings, batch: str) -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(BATCHES, [batch])
        graph = build_definitions(settings)
        asset = next(
            a for a in graph.assets or () if isinstance(a, dg.AssetsDefinition) and a.key == dg.AssetKey("catalog")
        )
        return dg.materialize(
            [asset], partition_key=batch, instance=instance,
            resources={name: graph.resources[name] for name in ("settings", "store")},  # pyright: ignore[reportOptionalSubscript]
        )  # fmt: skip


def checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {e.check_name: e.passed for e in result.get_asset_check_evaluations()}


def test_a_batch_is_loaded(catalog: Engine, catalog_settings: Settings, tmp_path: Path) -> None:
    settings = catalog_settings.model_copy(update={"store": str(tmp_path / "store")})
    commit_filled_batch(Store.at(settings.store), "first")
    result = materialize(settings, "first")
    assert result.success
    assert checks(result) == {"batch_loaded": True}
    with catalog.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(SEGMENTS)) == 8


@pytest.mark.parametrize("enabled", [True, False])
def test_without_a_catalog_the_run_succeeds_and_the_check_says_why(tmp_path: Path, enabled: bool) -> None:
    url = "postgresql://me:hunter2secret@127.0.0.1:1/podcasts"
    settings = Settings(store=str(tmp_path / "store"), catalog_url=url if enabled else None)
    commit_filled_batch(Store.at(settings.store), "first")
    result = materialize(settings, "first")
    assert result.success
    assert checks(result) == {"batch_loaded": False}
    (evaluation,) = result.get_asset_check_evaluations()
    why = str(evaluation.metadata)
    assert ("podcasts at 127.0.0.1:1, does not answer" if enabled else "set PODCAST_CATALOG=1") in why
    assert "hunter2" not in why


def test_only_settings_with_a_catalog_select_it() -> None:
    graph = build_definitions().resolve_asset_graph()
    for settings, selected in (
        (Settings(), False),
        (Settings(catalog=True), True),
        (Settings(catalog_url="postgresql://h/d"), True),
    ):
        assert (dg.AssetKey("catalog") in batch_selection(settings).resolve(graph)) is selected
