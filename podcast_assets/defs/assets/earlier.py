"""Metadata of earlier materializations, read from the Dagster instance."""

from collections.abc import Collection

import dagster as dg

from podcast_assets.defs.checks.quality import EARLIER_BATCHES, KeptHours

RECORDS = 4 * EARLIER_BATCHES
"""Maximum number of materializations to read, a few MB with their pictures. Some repeat a batch or used another policy."""


def earlier_kept_hours(
    instance: dg.DagsterInstance, asset: dg.AssetKey, policy: str, leave_out: Collection[str]
) -> list[KeptHours]:
    """Return the hours that a policy kept of the latest materialized batches, the latest first.

    Args:
        instance: instance to read materializations from.
        asset: key of `quality_scores`.
        policy: digest of the policy; batches that used another one are left out.
        leave_out: batches of the current run.
    """
    found: dict[str, KeptHours | None] = {}
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
        found[done.partition] = KeptHours(done.partition, float(hours), float(kept)) if same else None  # type: ignore[arg-type]
    return [kept for kept in found.values() if kept is not None]
