"""Checks of what runs share: slots of the pool `gpu` against GPUs, and the disk against the batches that wait."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from podcast_assets.cli.doctor.finding import Finding
from podcast_assets.cli.doctor.machine import nearest_existing
from podcast_assets.common.wording import count_noun
from podcast_assets.config.settings import Settings
from podcast_assets.intake.arrivals import list_incoming
from podcast_assets.stages import unfinished
from podcast_assets.store.store import Store

POOL_AREA, DISK_AREA = "GPU", "machine"
BYTES_PER_SOURCE_BYTE = 3.0
"""Space that a batch takes per byte of its source: the original, working audio (16 kHz mono FLAC, 50 to 60 MB an hour), and shards
are each about as large as an MP3 of 128 kbit/s, which has 58 MB an hour."""


def judge_pool(slots: int, gpus: int) -> list[Finding]:
    """Compare the slots of the pool `gpu` with the GPUs of this machine; nothing where there is no GPU."""
    if not gpus:
        return []
    what = f"the pool gpu has {count_noun(slots, 'slot')}, and this machine {count_noun(gpus, 'GPU')} to use"
    todo = f"podcast-assets init --gpus {gpus}"
    if slots > gpus:
        return [Finding(POOL_AREA, "warning", f"{what}: steps wait for a device while they hold a slot", todo)]
    if slots < gpus:
        return [Finding(POOL_AREA, "warning", f"{what}: some stay idle", todo)]
    return [Finding(POOL_AREA, "ok", what)]


def gpus_to_use(settings: Settings, usable: int | None) -> int:
    """Count the GPUs that runs of this machine use.

    Args:
        settings: may name some of them.
        usable: GPUs that an engine can use; None if unknown.
    """
    named = [part for part in (settings.gpus or "").split(",") if part.strip()]
    return min(len(named), usable or 0) if named else usable or 0


def examine_disk(store: Store) -> list[Finding]:
    """Compare the free space of a local store with what its waiting batches need; nothing if none waits."""
    if not store.is_local or not Path(str(store.root)).is_dir():
        return []
    waiting = {name: a for name, a in list_incoming(store).arrivals.items() if not a.is_list}
    missing = unfinished.missing(store, waiting)
    sizes = {name: sum(file.bytes for file in waiting[name].files) for name in missing}
    return judge_disk(sizes, shutil.disk_usage(nearest_existing(Path(str(store.root)))).free)


def judge_disk(sizes: Mapping[str, int], free: int) -> list[Finding]:
    """Judge whether waiting batches fit on the disk.

    Args:
        sizes: unfinished batch → size of its source, bytes.
        free: of the store's disk, bytes.
    """
    if not sizes:
        return []
    largest = max(sizes, key=lambda name: sizes[name])
    one, everything = (BYTES_PER_SOURCE_BYTE * size for size in (sizes[largest], sum(sizes.values())))
    waiting = f"{count_noun(len(sizes), 'batch')} waiting, about {everything / 1e9:,.1f} GB to process"
    if one > free:
        what = f"{waiting}: batch {largest} alone needs about {one / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB are free"
        return [
            Finding(DISK_AREA, "warning", what, "free some space, or set PODCAST_STORE to a larger disk or a bucket")
        ]
    if everything > free:
        todo = "free space before they all run; PODCAST_KEEP_SOURCES_DAYS removes the sources of finished batches"
        return [Finding(DISK_AREA, "warning", f"{waiting}, and {free / 1e9:,.1f} GB are free", todo)]
    return [Finding(DISK_AREA, "ok", waiting)]
