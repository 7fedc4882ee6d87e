"""The janitor removes what crashes leave behind: unfinished files, scratch files, and checkpoints that no run will resume.

If `PODCAST_KEEP_SOURCES_DAYS` is set, it also removes the sources of finished batches (`stages/retention.py`). It removes no
results, no recent files, and nothing of a batch with an unfinished run.
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

from podcast_assets.common.scratch import SCRATCH_PREFIX
from podcast_assets.common.wording import count_noun
from podcast_assets.config.settings import Settings
from podcast_assets.defs.jobs import TIDY_UP
from podcast_assets.defs.partitions import busy_batches
from podcast_assets.defs.resources import StoreResource
from podcast_assets.defs.runs.process import record_process
from podcast_assets.defs.sensors.new_batches import known_arrivals
from podcast_assets.intake.arrivals import list_incoming
from podcast_assets.stages.retention import remove_sources
from podcast_assets.store.stage_names import TABLE_STAGES
from podcast_assets.store.store import Store, table_key

_CHECKPOINT = re.compile(r"(?P<episode>.+)-(?P<fingerprint>[0-9a-f]{32})\.(?P<kind>parquet|encoded)")
_UNFINISHED = re.compile(rf"\..+\.[0-9a-f]{{8}}\.part|({re.escape(SCRATCH_PREFIX)})?[0-9a-f]{{32}}\.part")
_TEMPORARY = (SCRATCH_PREFIX, "podcast-assets-nemo-")
_BATCHES_PER_QUERY = 500
"""Batches in one query to Dagster's database."""
_USER_FOLDERS = {"incoming", "feeds"}
"""Folders of the store that users write to."""


@dataclass(frozen=True)
class CheckpointFile:
    """A checkpoint, with its size in bytes and the time of its last change (POSIX seconds)."""

    name: str
    bytes: int
    modified: float


@dataclass
class SweepResult:
    """What a sweep removed."""

    files: Counter[str] = field(default_factory=Counter)
    """Kind (checkpoints, unfinished, temporary) → number of removed files."""
    bytes: int = 0
    in_use: set[str] = field(default_factory=set)
    """Batches whose checkpoints were kept because a run uses them."""

    def add(self, kind: str, size: int) -> None:
        """Count a removed file or folder of `size` bytes."""
        self.files[kind] += 1
        self.bytes += size


def stale(checkpoints: Sequence[CheckpointFile], *, committed: bool, before: float) -> list[CheckpointFile]:
    """Select the checkpoints of a batch and stage that no run will resume.

    If the table is committed, these are all of them: a commit removes checkpoints, so the rest is from a crash at that moment or
    from an abandoned later run. Otherwise a run resumes the newest checkpoint of each episode, and the others belong to earlier
    settings.

    Args:
        checkpoints: all checkpoints of the batch and stage.
        committed: whether the stage's table exists.
        before: select only files that were last changed before this time, POSIX seconds.
    """
    newest: dict[tuple[str, str], CheckpointFile] = {}
    for file in sorted(checkpoints, key=lambda f: f.modified):
        if match := _CHECKPOINT.fullmatch(file.name):
            newest[match["episode"], match["kind"]] = file
    resumable = set() if committed else set(newest.values())
    return [f for f in checkpoints if f.modified < before and f not in resumable and _CHECKPOINT.fullmatch(f.name)]


def sweep(store: Store, *, before: float, busy: Collection[str] = (), scratch: Path | None = None) -> SweepResult:
    """Remove leftover files that were last changed before a time.

    Args:
        store: the store to sweep.
        before: POSIX seconds.
        busy: batches with unfinished runs. On one machine, locks of batches protect them too.
        scratch: folder for temporary files; None for the system's.
    """
    freed = SweepResult()
    for asset, stage in TABLE_STAGES.items():
        for batch, files in _checkpoints(store, stage):
            with store.batch_lock_if_free(batch) as locked:
                if batch in busy or not locked:
                    freed.in_use.add(batch)
                    continue
                committed = store.exists(table_key(asset, batch))
                for file in stale(files, committed=committed, before=before):
                    store.remove(f"checkpoints/{stage}/{batch}/{file.name}")
                    freed.add("checkpoints", file.bytes)
    if store.is_local:
        for path in _unfinished(Path(str(store.root))):
            _remove(path, "unfinished", before, freed)
    if uploads := store.remove_unfinished_uploads(before, _USER_FOLDERS):
        freed.files["unfinished"] += uploads
    for path in (scratch or Path(tempfile.gettempdir())).iterdir():
        if path.name.startswith(_TEMPORARY) and _is_own(path):
            _remove(path, "temporary", before, freed)
    return freed


def _checkpoints(store: Store, stage: str) -> Iterator[tuple[str, list[CheckpointFile]]]:
    """Yield each batch with its checkpoints of a stage."""
    by_batch: dict[str, list[CheckpointFile]] = {}
    for entry in store.list(f"checkpoints/{stage}"):
        _, _, batch, rest = entry.key.split("/", 3)
        by_batch.setdefault(batch, []).append(CheckpointFile(rest, entry.bytes, entry.modified))
    yield from by_batch.items()


def _unfinished(root: Path) -> Iterable[Path]:
    """Find files that `Store` did not finish writing."""
    folders = [p for p in root.iterdir() if p.is_dir() and p.name not in _USER_FOLDERS] if root.is_dir() else []
    # not rglob, which fails where a folder vanishes meanwhile
    walked = (entry for folder in folders for entry in os.walk(folder))
    return [Path(folder, name) for folder, _, names in walked for name in names if _UNFINISHED.fullmatch(name)]


def _is_own(path: Path) -> bool:
    """Whether a file or folder is this user's. It may already be gone."""
    try:
        return path.lstat().st_uid == os.getuid()
    except FileNotFoundError:
        return False


def _remove(path: Path, kind: str, before: float, freed: SweepResult) -> None:
    """Remove a file or folder if everything in it was last changed before a time. It may already be gone."""
    try:
        files = [path, *path.rglob("*")] if path.is_dir() else [path]
        stats = [f.lstat() for f in files]
        if max(s.st_mtime for s in stats) >= before:
            return
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    except FileNotFoundError:
        return
    freed.add(kind, sum(s.st_size for s in stats))


def oldest_in_use(settings: Settings, now: float) -> float:
    """Return the time (POSIX seconds) before which no file is needed by a run, because runs have a maximum duration."""
    return now - 3600 * max(settings.scratch_hours, settings.max_runtime_hours)


def _remove_old_sources(context: dg.OpExecutionContext, store: Store, days: float | None) -> dict[str, int]:
    """Remove the sources of batches that were committed more than `days` ago, if set, and return metadata about it."""
    if days is None:
        return {}
    known: dict[str, str] = {}
    arrivals = list(list_incoming(store).arrivals)
    for start in range(0, len(arrivals), _BATCHES_PER_QUERY):
        known |= known_arrivals(context.instance, arrivals[start : start + _BATCHES_PER_QUERY])
    removed = remove_sources(store, known, before=time.time() - days * 86_400, busy=busy_batches(context.instance))
    for source in removed:
        context.log.info(
            f"{source.batch}: removed its source from incoming/, {source.files} files of {source.bytes / 1e6:.1f} MB, because "
            f"all its tables have been committed for {days:g} days"
        )
    return {"sources_removed": len(removed), "source_bytes_freed": sum(s.bytes for s in removed)}


@dg.op
def remove_leftovers(
    context: dg.OpExecutionContext, store: StoreResource, settings: dg.ResourceParam[Settings]
) -> None:
    """Remove unfinished files, scratch files and stale checkpoints."""
    record_process(context.instance, context.run)
    before = oldest_in_use(settings, time.time())
    freed = sweep(store.get(), before=before, busy=busy_batches(context.instance))
    context.log.info(
        f"removed {count_noun(freed.files.total(), 'leftover file')}, {freed.bytes / 1e6:.1f} MB; "
        f"skipped {count_noun(len(freed.in_use), 'batch')} in use"
    )
    sources = _remove_old_sources(context, store.get(), settings.keep_sources_days)
    context.add_output_metadata(
        {
            **sources,
            "removed": freed.files.total(),
            **{f"removed_{kind}": count for kind, count in freed.files.items()},
            "bytes_freed": freed.bytes,
            "batches_in_use": len(freed.in_use),
        }
    )


@dg.job(name=TIDY_UP, executor_def=dg.in_process_executor, description="Removes files that crashes left behind.")
def tidy_up() -> None:
    """Run `remove_leftovers`, the only step."""
    remove_leftovers()
