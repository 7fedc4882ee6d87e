"""Which batches may not run unasked, because an upgrade or other engines would process much of them again."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import dagster as dg

from podcast_assets.config.settings import Settings
from podcast_assets.stages.profiles import choose_profile
from podcast_assets.stages.redo import Place, Redo, find_redo
from podcast_assets.store.store import Store


@dataclass(frozen=True)
class HeldBatches:
    """Batches that wait until somebody agrees."""

    batches: frozenset[str] = frozenset()
    message: str = ""
    """What would be done again, why, and what to set; empty if nothing is held."""


def find_redo_of_runs(
    instance: dg.DagsterInstance,
    settings: Settings,
    store: Store,
    batches: Sequence[str],
    *,
    here: bool = False,
    without: Collection[Place] = (),
) -> Redo:
    """Find what runs of batches would do again.

    Where runs get machines of their own and `auto` chooses their engines there, only versions are compared.

    Args:
        instance: instance that launches the runs.
        settings: of the runs.
        store: store of the batches.
        batches: their batches.
        here: whether they run in this process.
        without: episodes that are to be processed again.

    Raises:
        Misconfigured: a setting names an unknown engine.
    """
    ingested = set(store.table_names("tables/raw_audio")).intersection(batches)
    if not ingested:  # so that a new batch costs no choice of engines
        return Redo()
    known = here or settings.profile != "auto" or isinstance(instance.run_launcher, dg.DefaultRunLauncher)
    return find_redo(store, settings, choose_profile(settings) if known else None, sorted(ingested), without=without)


def hold_redo(instance: dg.DagsterInstance, settings: Settings, store: Store, batches: Sequence[str]) -> HeldBatches:
    """Find which of the batches that a sensor or schedule would run have to wait: all with a redo, if it is more than allowed.

    Raises:
        Misconfigured: a setting names an unknown engine.
    """
    redo = find_redo_of_runs(instance, settings, store, batches) if batches else Redo()
    if redo.hours <= settings.redo_hours:
        return HeldBatches()
    return HeldBatches(
        frozenset(redo.batches),
        f"{redo.describe()}. Not requested: to agree, set PODCAST_REDO_HOURS to more (inf: always), or run "
        "`podcast-assets backfill BATCH --yes`; to keep the results, set the earlier engines (PODCAST_PROFILE, "
        "PODCAST_DIARIZER, …)",
    )
