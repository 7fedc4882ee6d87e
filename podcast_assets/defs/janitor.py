"""Removes what crashes left behind: unfinished files, scratch, and checkpoints that nobody will take up.

Where `PODCAST_KEEP_SOURCES_DAYS` asks for it, sources of batches that are done go too (`retention.py`). Nothing else here is a
result. What is too young, or belongs to a batch that a run has or waits for, is left alone.
"""

import os
import re
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg

from podcast_assets.config.settings import Settings
from podcast_assets.defs.jobs import TIDY_UP
from podcast_assets.defs.partitions import busy_batches
from podcast_assets.defs.resources import StoreResource
from podcast_assets.defs.runs.process import record_process
from podcast_assets.defs.sensors.new_batches import known_arrivals
from podcast_assets.intake.arrivals import list_incoming
from podcast_assets.stages.retention import remove_sources
from podcast_assets.store.stage_names import TABLE_STAGES
from podcast_assets.store.store import SCRATCH_PREFIX, Store, table_key

_CHECKPOINT = re.compile(r"(?P<episode>.+)-(?P<fingerprint>[0-9a-f]{32})\.(?P<kind>parquet|encoded)")
_UNFINISHED = re.compile(rf"\..+\.[0-9a-f]{{8}}\.part|({re.escape(SCRATCH_PREFIX)})?[0-9a-f]{{32}}\.part")
_TEMPORARY = (SCRATCH_PREFIX, "podcast-assets-nemo-")
_ASKED_AT_ONCE = 500
"""Batches in one question to Dagster's database."""
_NOT_OURS = {"incoming", "feeds"}
"""Folders of the store whose files other people write."""


@dataclass(frozen=True)
class File:
    """A file, with its size in bytes and the time of its last change (POSIX seconds)."""

    name: str
    bytes: int
    modified: float


@dataclass
class Freed:
    """What a sweep removed."""

    files: Counter[str] = field(default_factory=Counter)
    """Kind → files: checkpoints, unfinished, temporary."""
    bytes: int = 0
    in_use: set[str] = field(default_factory=set)
    """Batches whose checkpoints were left alone because a run has them."""

    def add(self, kind: str, size: int) -> None:
        """One more."""
        self.files[kind] += 1
        self.bytes += size


def stale(checkpoints: Sequence[File], *, committed: bool, before: float) -> list[File]:
    """Those of a batch's checkpoints of one stage that nobody will take up; pure.

    With a committed table that is all of them: the commit removes them, so they are left from a crash in that moment or of a later
    run that was given up. Without one, an episode's newest is the work that a resumed run takes up, and the others are of settings
    that were changed since.

    Args:
        checkpoints: all of them.
        committed: whether the stage's table is there.
        before: only what was last changed before this time, POSIX seconds.
    """
    newest: dict[tuple[str, str], File] = {}
    for file in sorted(checkpoints, key=lambda f: f.modified):
        if match := _CHECKPOINT.fullmatch(file.name):
            newest[match["episode"], match["kind"]] = file
    kept = set() if committed else set(newest.values())
    return [f for f in checkpoints if f.modified < before and f not in kept and _CHECKPOINT.fullmatch(f.name)]


def sweep(store: Store, *, before: float, busy: Collection[str] = (), scratch: Path | None = None) -> Freed:
    """Remove what is left over and was last changed before a time.

    Args:
        store: whose leftovers.
        before: POSIX seconds.
        busy: batches of runs that wait or go on. On one machine the batches' locks say so too.
        scratch: the machine's folder for temporary files; None for the system's.
    """
    freed = Freed()
    for asset, stage in TABLE_STAGES.items():
        for batch, files in _checkpoints(store, stage):
            with store.batch_lock_if_free(batch) as ours:
                if batch in busy or not ours:
                    freed.in_use.add(batch)
                    continue
                committed = store.exists(table_key(asset, batch))
                for file in stale(files, committed=committed, before=before):
                    store.remove(f"checkpoints/{stage}/{batch}/{file.name}")
                    freed.add("checkpoints", file.bytes)
    if store.is_local:
        for path in _unfinished(Path(str(store.root))):
            _remove(path, "unfinished", before, freed)
    if uploads := store.remove_unfinished_uploads(before, _NOT_OURS):
        freed.files["unfinished"] += uploads
    for path in (scratch or Path(tempfile.gettempdir())).iterdir():
        if path.name.startswith(_TEMPORARY) and path.lstat().st_uid == os.getuid():
            _remove(path, "temporary", before, freed)
    return freed


def _checkpoints(store: Store, stage: str) -> Iterator[tuple[str, list[File]]]:
    """Batch → checkpoints of a stage."""
    by_batch: dict[str, list[File]] = {}
    for entry in store.list(f"checkpoints/{stage}"):
        _, _, batch, rest = entry.key.split("/", 3)
        by_batch.setdefault(batch, []).append(File(rest, entry.bytes, entry.modified))
    yield from by_batch.items()


def _unfinished(root: Path) -> Iterable[Path]:
    """Files that `Store` was writing."""
    folders = [p for p in root.iterdir() if p.is_dir() and p.name not in _NOT_OURS] if root.is_dir() else []
    return [p for folder in folders for p in folder.rglob("*.part") if _UNFINISHED.fullmatch(p.name)]


def _remove(path: Path, kind: str, before: float, freed: Freed) -> None:
    """Remove a file or folder if all of it was last changed before a time; one that is gone by itself is fine."""
    try:
        files = [path, *path.rglob("*")] if path.is_dir() else [path]
        facts = [f.lstat() for f in files]
        if max(s.st_mtime for s in facts) >= before:
            return
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    except FileNotFoundError:
        return
    freed.add(kind, sum(s.st_size for s in facts))


def oldest_in_use(settings: Settings, now: float) -> float:
    """The time before which nothing was written that a run may still need: each run is ended after its longest time."""
    return now - 3600 * max(settings.scratch_hours, settings.max_runtime_hours)


def _old_sources(context: dg.OpExecutionContext, store: Store, days: float | None) -> dict[str, int]:
    """Remove sources that have been done with for so many days, or none for None; gives what there is to say of that."""
    if days is None:
        return {}
    known: dict[str, str] = {}
    there = list(list_incoming(store).arrivals)
    for at in range(0, len(there), _ASKED_AT_ONCE):
        known |= known_arrivals(context.instance, there[at : at + _ASKED_AT_ONCE])
    removed = remove_sources(store, known, before=time.time() - days * 86_400, busy=busy_batches(context.instance))
    for source in removed:
        context.log.info(
            f"{source.batch}: its source is removed from incoming/, {source.files} files of {source.bytes / 1e6:.1f} MB: all of it "
            f"has been committed for {days:g} days"
        )
    return {"sources_removed": len(removed), "source_bytes_freed": sum(s.bytes for s in removed)}


@dg.op
def remove_leftovers(
    context: dg.OpExecutionContext, store: StoreResource, settings: dg.ResourceParam[Settings]
) -> None:
    """Remove unfinished files, scratch and stale checkpoints, and say how much that was."""
    record_process(context.instance, context.run)
    before = oldest_in_use(settings, time.time())
    freed = sweep(store.get(), before=before, busy=busy_batches(context.instance))
    context.log.info(
        f"removed {freed.files.total()} leftovers, {freed.bytes / 1e6:.1f} MB; left alone: {len(freed.in_use)} batches in use"
    )
    sources = _old_sources(context, store.get(), settings.keep_sources_days)
    context.add_output_metadata(
        {
            **sources,
            "removed": freed.files.total(),
            **{f"removed_{kind}": count for kind, count in freed.files.items()},
            "bytes_freed": freed.bytes,
            "batches_in_use": len(freed.in_use),
        }
    )


@dg.job(name=TIDY_UP, executor_def=dg.in_process_executor, description="Removes what crashes left behind.")
def tidy_up() -> None:
    """One step."""
    remove_leftovers()
