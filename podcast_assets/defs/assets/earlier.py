"""What earlier materializations said of other batches, read from Dagster's instance."""

from collections.abc import Collection

import dagster as dg

from podcast_assets.defs.checks.quality import EARLIER_BATCHES, Kept

RECORDS = 4 * EARLIER_BATCHES
"""Materializations that are read at most, each with its pictures: a few MB. Some are of one batch again, or of another policy."""


def kept_earlier(
    instance: dg.DagsterInstance, asset: dg.AssetKey, policy: str, leave_out: Collection[str]
) -> list[Kept]:
    """What a policy kept of the batches that were materialized last, the last one first.

    Args:
        instance: that knows the materializations.
        asset: `quality_scores`.
        policy: its digest; batches under other rules are no measure.
        leave_out: batches that are judged now.
    """
    found: dict[str, Kept | None] = {}
    for record in instance.fetch_materializations(asset, limit=RECORDS).records:
        done = record.asset_materialization
        if done is None or done.partition is None or done.partition in {*leave_out, *found}:
            continue
        facts = {
            name: value.value
            for name, value in done.metadata.items()
            if name in ("policy_digest", "hours", "hours_kept")
        }
        hours, kept = facts.get("hours"), facts.get("hours_kept")
        same = facts.get("policy_digest") == policy and isinstance(hours, int | float) and isinstance(kept, int | float)
        found[done.partition] = Kept(done.partition, float(hours), float(kept)) if same else None  # type: ignore[arg-type]
    return [kept for kept in found.values() if kept is not None]
