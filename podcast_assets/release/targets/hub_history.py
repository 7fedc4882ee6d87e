"""Purge of taken-down content from a repository's history, because a commit removes it from the head only.

The objects to purge are recorded in the store before the commit that removes them (`takedowns/unpurged/…`). A record is deleted
when the Hub no longer lists the object, so that the next release completes an interrupted purge. The takedowns that a release has
followed are recorded too (`takedowns/followed/…`), because a purge changes the ids of all commits.
"""

import hashlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from podcast_assets.common.fingerprint import fingerprint
from podcast_assets.release.foreign_tables import batch_of_table
from podcast_assets.release.published import TABLE_FOLDERS, PublishedShard
from podcast_assets.release.targets.hub_pull import KIND
from podcast_assets.release.targets.protocol import TargetFile
from podcast_assets.store.store import Store
from podcast_assets.store.takedown_records import FOLDER, NAMES

if TYPE_CHECKING:
    from huggingface_hub import HfApi

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HistoryPurge:
    """Result of a purge of the history."""

    removed: int
    """Number of objects removed from all commits."""
    waiting: int
    """Number of objects that are still in the head or still listed; the next release tries again."""


def batches_to_purge(store: Store, repo: str, takedowns: pl.DataFrame) -> set[str]:
    """Batches of the takedowns that no release to a repository has followed in their present state.

    Args:
        store: store with the records.
        repo: as for `note_superseded`.
        takedowns: records of the takedowns.
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
    """Record, after the commit, which takedowns were followed, so that later releases need not read the history for them.

    Args:
        store: store with the records.
        repo: as for `note_superseded`.
        takedowns: records of the takedowns that the commit followed.
    """
    recorded = store.names(_followed_key(repo))
    for state in sorted({_record_state(row) for row in takedowns.iter_rows(named=True)} - recorded):
        store.write(f"{_followed_key(repo)}/{state}", b"")


def superseded_objects(
    before: Iterable[PublishedShard], head: Mapping[str, TargetFile], after: Mapping[str, str], batches: Iterable[str]
) -> set[str]:
    """SHA-256 of the files of some batches that are in a commit but not in a release; files outside of LFS have none. No I/O.

    Args:
        before: shards of the commit.
        head: path → file of the commit.
        after: path → SHA-256 of each file of the release.
        batches: result of `batches_to_purge`.
    """
    chosen = set(batches)
    shards = {shard.path for shard in before if chosen & {part.batch for part in shard.parts}}
    tables = {path for path in head if path.startswith(TABLE_FOLDERS) and batch_of_table(path) in chosen}
    found = {head[path].sha256 for path in shards | tables if path in head}
    return {sha256 for sha256 in found if sha256} - set(after.values())


def note_superseded(store: Store, repo: str, objects: Iterable[str]) -> None:
    """Record, before the commit, which objects to purge from the history of a repository.

    Args:
        store: store with the records.
        repo: owner/name, with its endpoint if there are several.
        objects: SHA-256 of the objects.
    """
    for sha256 in objects:
        store.write(f"{_history_folder(repo)}/{sha256}", b"")


def unpurged_objects(store: Store, repo: str) -> set[str]:
    """SHA-256 of the recorded objects that may still be in the history of a repository."""
    return {name for name in store.names(_history_folder(repo)) if not name.startswith(".")}


def purge_history(store: Store, api: "HfApi", repo: str) -> HistoryPurge:
    """Delete the recorded objects from all commits of a repository, and the records of those that are gone.

    Objects of the head are never deleted, because the commit that removes them has not happened yet.

    Args:
        store: store with the records.
        api: client whose token may write to the repository.
        repo: owner/name.

    Raises:
        HfHubHTTPError: the Hub refuses the deletion; the next call tries the rest again.
    """
    waiting = unpurged_objects(store, repo)
    if not waiting:
        return HistoryPurge(0, 0)
    head = {
        lfs.sha256
        for entry in api.list_repo_tree(repo, recursive=True, repo_type=KIND)
        if (lfs := getattr(entry, "lfs", None))
    }
    to_delete = waiting - head
    found = [f for f in api.list_lfs_files(repo, repo_type=KIND) if to_delete & {f.oid, f.file_oid}]
    if found:
        log.info("%s: deleting %d taken-down objects from its history", repo, len(found))
        api.permanently_delete_lfs_files(repo, found, rewrite_history=True, repo_type=KIND)
    listed = (
        {name for f in api.list_lfs_files(repo, repo_type=KIND) for name in (f.oid, f.file_oid)} if found else set()
    )
    deleted = to_delete - listed
    for sha256 in deleted:
        store.remove(f"{_history_folder(repo)}/{sha256}")
    return HistoryPurge(len(deleted), len(waiting) - len(deleted))


def _record_state(record: Mapping[str, Any]) -> str:
    """Key of a record's present state, which changes when the record names more than before."""
    return f"{record['takedown']}-{fingerprint(**{name: sorted(record[name] or ()) for name in NAMES})[:16]}"


def _history_folder(repo: str) -> str:
    return f"{FOLDER}/unpurged/{_short_name(repo)}"


def _followed_key(repo: str) -> str:
    return f"{FOLDER}/followed/{_short_name(repo)}"


def _short_name(repo: str) -> str:
    return hashlib.sha256(repo.encode()).hexdigest()[:16]
