"""What earlier materializations kept, from a real instance of Dagster."""

import dagster as dg

from podcast_assets.defs.assets.earlier import RECORDS, earlier_kept_hours
from podcast_assets.defs.checks.quality import KeptHours

ASSET = dg.AssetKey("quality_scores")


def materialize(instance: dg.DagsterInstance, batch: str, kept: float, rules: str = "asr") -> None:
    facts = {"policy": "asr-v1", "policy_digest": rules, "hours": 2.0, "hours_kept": kept}
    instance.report_runless_asset_event(dg.AssetMaterialization(ASSET, partition=batch, metadata=facts))


def test_the_last_batches_under_the_same_rules_each_as_it_was_last() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        for batch, kept in (("a", 0.1), ("b", 1.0), ("a", 1.5), ("now", 0.0)):
            materialize(instance, batch, kept)
        materialize(instance, "c", 2.0, rules="asr, edited without another version")
        instance.report_runless_asset_event(dg.AssetMaterialization(ASSET, partition="by an older version"))
        found = earlier_kept_hours(instance, ASSET, "asr", ["now"])
        assert found == [KeptHours("a", 2.0, 1.5), KeptHours("b", 2.0, 1.0)]
        assert earlier_kept_hours(instance, dg.AssetKey("nothing"), "asr", []) == []


def test_only_so_many_are_read() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        for n in range(RECORDS + 5):
            materialize(instance, f"b{n}", 1.0)
        assert len(earlier_kept_hours(instance, ASSET, "asr", [])) == RECORDS
