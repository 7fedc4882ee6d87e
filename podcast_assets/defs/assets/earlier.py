"""Metadata of earlier materializations, read from the Dagster instance."""

from collections.abc import Collection
from typing import Any

import dagster as dg

from podcast_assets.defs.checks.drift import EARLIER_BATCHES
from podcast_assets.defs.checks.moderation import FlaggedWindows
from podcast_assets.defs.checks.quality import KeptHours

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
    found = _earlier_numbers(instance, asset, ("policy_digest", policy), ("hours", "hours_kept"), leave_out)
    return [KeptHours(batch, hours, kept) for batch, (hours, kept) in found.items()]


def earlier_flagged_windows(
    instance: dg.DagsterInstance, asset: dg.AssetKey, policies: str, leave_out: Collection[str]
) -> list[FlaggedWindows]:
    """Return the windows that moderation policies flagged in the latest materialized batches, the latest first.

    Args:
        instance: instance to read materializations from.
        asset: key of `content_flags`.
        policies: digest of the policies; batches that used others are left out.
        leave_out: batches of the current run.
    """
    names = ("windows_judged", "windows_flagged")
    found = _earlier_numbers(instance, asset, ("policies_digest", policies), names, leave_out)
    return [FlaggedWindows(batch, windows, flagged) for batch, (windows, flagged) in found.items()]


def _earlier_numbers(
    instance: dg.DagsterInstance,
    asset: dg.AssetKey,
    digest: tuple[str, str],
    names: tuple[str, str],
    leave_out: Collection[str],
) -> dict[str, tuple[float, float]]:
    """Return two numbers in the metadata of the latest materialization of each batch, where its digest is the given one.

    Args:
        instance: instance to read materializations from.
        asset: key of the asset.
        digest: name of the metadata with the digest, and its value.
        names: names of the metadata with the numbers.
        leave_out: batches of the current run.
    """
    found: dict[str, tuple[float, float] | None] = {}
    for record in instance.fetch_materializations(asset, limit=RECORDS).records:
        done = record.asset_materialization
        if done is None or done.partition is None or done.partition in {*leave_out, *found}:
            continue
        facts: dict[str, Any] = {n: v.value for n, v in done.metadata.items() if n in (digest[0], *names)}
        values = [facts.get(name) for name in names]
        same = facts.get(digest[0]) == digest[1] and all(isinstance(v, int | float) for v in values)
        found[done.partition] = (float(values[0]), float(values[1])) if same else None  # type: ignore[arg-type]
    return {batch: numbers for batch, numbers in found.items() if numbers is not None}
