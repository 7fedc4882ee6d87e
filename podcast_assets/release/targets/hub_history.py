"""What was published and taken down is purged from a repository's history too: a commit takes it out of the head alone.

Which objects have to go is written down in the store before the commit that takes them out (`takedowns/unpurged/…`), and struck off
when the Hub no longer lists them: a release that is broken off in between is made up for by the next one, changed or not. Which
takedowns a release has followed is noted too (`takedowns/followed/…`), as each purge gives the commits other ids.
"""

import hashlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import polars as pl

from podcast_assets.common.fingerprint import fingerprint
from podcast_assets.release.published import PublishedShard
from podcast_assets.release.targets.protocol import TargetFile
from podcast_assets.store.store import Store
from podcast_assets.store.takedown_records import FOLDER, NAMES

if TYPE_CHECKING:
    from huggingface_hub import HfApi

log = logging.getLogger(__name__)

_KIND = "dataset"
_TABLES = ("metadata", "episodes")
"""Folders of a dataset with a table per batch."""


@dataclass(frozen=True)
class HistoryPurge:
    """Result of a purge of the history."""

    removed: int
    """Objects that are gone from all commits."""
    waiting: int
    """Objects that have to go, and are still in the head or still listed: the next release tries again."""


def batches_to_purge(store: Store, repo: str, takedowns: pl.DataFrame) -> set[str]:
    """Batches of takedowns that no release of a repository has followed as they are now.

    Args:
        store: with the notes.
        repo: as for `note_superseded`.
        takedowns: the records.
    """
    followed = store.names(_followed_key(repo))
    places = {
        p
        for row in takedowns.iter_rows(named=True)
        if _record_state(row) not in followed
        for p in row["episodes"] or ()
    }
    return {place.split("/", 1)[0] for place in places}


def note_followed(store: Store, repo: str, takedowns: pl.DataFrame) -> None:
    """Write down, after the commit, that takedowns are followed: later changes of their batches need no other history.

    Args:
        store: with the notes.
        repo: as for `note_superseded`.
        takedowns: the records that the commit knew.
    """
    there = store.names(_followed_key(repo))
    for state in sorted({_record_state(row) for row in takedowns.iter_rows(named=True)} - there):
        store.write(f"{_followed_key(repo)}/{state}", b"")


def superseded_objects(
    before: Iterable[PublishedShard], head: Mapping[str, TargetFile], after: Mapping[str, str], batches: Iterable[str]
) -> set[str]:
    """SHA-256 of a commit's files of some batches that a release does not have; pure. Those that are not in LFS have none.

    Args:
        before: the shards of the commit.
        head: path → every file of it.
        after: path → SHA-256 of every file of the release.
        batches: of `batches_to_purge`.
    """
    ours = set(batches)
    shards = {shard.path for shard in before if ours & {part.batch for part in shard.parts}}
    tables = {path for path in head if path.split("/", 1)[0] in _TABLES and PurePosixPath(path).stem in ours}
    found = {head[path].sha256 for path in shards | tables if path in head}
    return {sha256 for sha256 in found if sha256} - set(after.values())


def note_superseded(store: Store, repo: str, objects: Iterable[str]) -> None:
    """Write down, before the commit, which objects have to go from the history of a repository.

    Args:
        store: with the records.
        repo: owner/name, with its endpoint where there are several.
        objects: SHA-256.
    """
    for sha256 in objects:
        store.write(f"{_history_folder(repo)}/{sha256}", b"")


def unpurged_objects(store: Store, repo: str) -> set[str]:
    """SHA-256 of objects that were written down, and are not known to be gone from the history of a repository."""
    return {name for name in store.names(_history_folder(repo)) if not name.startswith(".")}


def purge_history(store: Store, api: "HfApi", repo: str) -> HistoryPurge:
    """Delete what was written down from all commits of a repository, and strike off what is gone.

    What the head still has is never deleted: then the commit that takes it out has not come.

    Args:
        store: with the records.
        api: whose token may write to the repository.
        repo: owner/name.

    Raises:
        HfHubHTTPError: the Hub refuses it; what is left is tried again by the next call.
    """
    waiting = unpurged_objects(store, repo)
    if not waiting:
        return HistoryPurge(0, 0)
    head = {
        lfs.sha256
        for entry in api.list_repo_tree(repo, recursive=True, repo_type=_KIND)
        if (lfs := getattr(entry, "lfs", None))
    }
    doomed = waiting - head
    found = [f for f in api.list_lfs_files(repo, repo_type=_KIND) if doomed & {f.oid, f.file_oid}]
    if found:
        log.info("%s: deleting %d objects that were taken down from its history", repo, len(found))
        api.permanently_delete_lfs_files(repo, found, rewrite_history=True, repo_type=_KIND)
    listed = (
        {name for f in api.list_lfs_files(repo, repo_type=_KIND) for name in (f.oid, f.file_oid)} if found else set()
    )
    gone = doomed - listed
    for sha256 in gone:
        store.remove(f"{_history_folder(repo)}/{sha256}")
    return HistoryPurge(len(gone), len(waiting) - len(gone))


def _record_state(record: Mapping[str, Any]) -> str:
    """Another one when a record names more than before."""
    return f"{record['takedown']}-{fingerprint(**{name: sorted(record[name] or ()) for name in NAMES})[:16]}"


def _history_folder(repo: str) -> str:
    return f"{FOLDER}/unpurged/{_short_name(repo)}"


def _followed_key(repo: str) -> str:
    return f"{FOLDER}/followed/{_short_name(repo)}"


def _short_name(repo: str) -> str:
    return hashlib.sha256(repo.encode()).hexdigest()[:16]
