"""Memory, cores and room on the disks."""

import os
import shutil
import tempfile
from pathlib import Path

from podcast_assets.cli.doctor.finding import Finding
from podcast_assets.common.cores import available_cores
from podcast_assets.engines.model_cache import models_folder
from podcast_assets.store.store import Store

AREA = "machine"
LITTLE_MEMORY = 4e9
"""Bytes below which a model of the usual sizes and a long episode may not fit together; a rule of thumb."""
LITTLE_ROOM, NO_ROOM = 10e9, 0.5e9
"""Free bytes of a disk: some hundred hours of podcasts with what is made of them, and less than one download; rules of thumb."""


def memory_and_cores(memory: int | None, cores: int) -> Finding:
    """Check memory and CPU cores.

    Args:
        memory: that processes may use in all, bytes; None where it is not known.
        cores: that this process may use.
    """
    what = f"{cores} core(s), {'unknown' if memory is None else f'{memory / 1e9:.1f} GB of'} memory"
    if memory is not None and memory < LITTLE_MEMORY:
        return Finding(AREA, "warning", what, "use a smaller model: PODCAST_WHISPER_MODEL=base")
    return Finding(AREA, "ok", what)


def room(name: str, folder: Path, free: int) -> Finding:
    """Check the free space on the disk of a folder, which may not exist yet.

    Args:
        name: what the folder is for, for people.
        folder: there or not.
        free: bytes.
    """
    what = f"{name} ({folder}): {free / 1e9:.1f} GB free"
    if free < NO_ROOM:
        return Finding(AREA, "missing", what, "free some space", blocks=True)
    return Finding(AREA, "warning" if free < LITTLE_ROOM else "ok", what)


def examine(store: Store) -> list[Finding]:
    """Check memory, cores and the disks of the store, the models and temporary files."""
    folders = {"models": models_folder(), "temporary files": Path(tempfile.gettempdir())}
    if store.is_local:
        folders = {"store": Path(str(store.root))} | folders
    rooms = [room(name, folder, shutil.disk_usage(nearest(folder)).free) for name, folder in folders.items()]
    return [memory_and_cores(memory(), available_cores()), *rooms]


def nearest(folder: Path) -> Path:
    """A folder, or what is there of it: the nearest above it, which may be a file where a folder should be."""
    return next(f for f in (folder, *folder.parents) if f.exists())


def memory() -> int | None:
    """Memory of the machine, or of the container that this runs in, bytes."""
    try:
        found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    except (ValueError, OSError):
        return None
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            found.append(int(Path(limit).read_text()))
        except (OSError, ValueError):  # not in a container, or "max"
            continue
    return min(found)
