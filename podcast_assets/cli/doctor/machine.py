"""Checks of memory, CPU cores and disk space."""

import os
import shutil
import tempfile
from pathlib import Path

from podcast_assets.cli.doctor.finding import Finding
from podcast_assets.common.cores import available_cores
from podcast_assets.common.wording import count_noun
from podcast_assets.engines.model_cache import models_folder
from podcast_assets.store.store import Store

AREA = "machine"
LOW_MEMORY = 4e9
"""Bytes below which a model of usual size and a long episode may not fit together; a rule of thumb."""
LOW_DISK, FULL_DISK = 10e9, 0.5e9
"""Free bytes: enough for some hundred hours of podcasts and their results, and less than one download; rules of thumb."""


def memory_and_cores(memory: int | None, cores: int) -> Finding:
    """Check memory and CPU cores.

    Args:
        memory: available to all processes, bytes; None if unknown.
        cores: available to this process.
    """
    what = f"{count_noun(cores, 'core')}, {'unknown' if memory is None else f'{memory / 1e9:.1f} GB of'} memory"
    if memory is not None and memory < LOW_MEMORY:
        return Finding(AREA, "warning", what, "use a smaller model: PODCAST_WHISPER_MODEL=base")
    return Finding(AREA, "ok", what)


def disk_space(name: str, folder: Path, free: int) -> Finding:
    """Check the free space on the disk of a folder, which may not exist yet.

    Args:
        name: what the folder is for.
        folder: existing or not.
        free: bytes.
    """
    what = f"{name} ({folder}): {free / 1e9:.1f} GB free"
    if free < FULL_DISK:
        return Finding(AREA, "missing", what, "free some space on this disk", blocks=True)
    return Finding(AREA, "warning" if free < LOW_DISK else "ok", what)


def examine(store: Store) -> list[Finding]:
    """Check memory, cores and the disks of the store, the models and temporary files."""
    folders = {"models": models_folder(), "temporary files": Path(tempfile.gettempdir())}
    if store.is_local:
        folders = {"store": Path(str(store.root))} | folders
    disks = [
        disk_space(name, folder, shutil.disk_usage(nearest_existing(folder)).free) for name, folder in folders.items()
    ]
    return [memory_and_cores(memory(), available_cores()), *disks]


def nearest_existing(folder: Path) -> Path:
    """The folder, or its nearest parent that exists, which may be a file."""
    return next(f for f in (folder, *folder.parents) if f.exists())


def memory() -> int | None:
    """Memory of this machine or container, bytes; None if unknown."""
    try:
        limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    except (ValueError, OSError):
        return None
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            limits.append(int(Path(file).read_text()))
        except (OSError, ValueError):  # not in a container, or "max"
            continue
    return min(limits)
