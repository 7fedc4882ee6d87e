"""Where models come from and where they lie: pinned revisions of the Hugging Face hub in a models folder.

The folder is laid out as a cache of `huggingface_hub`, with a lock file beside (see `model_lock`). What talks to the hub is in
`hub_download`; nothing of it is imported before it is needed.
"""

import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.engines import model_lock
from podcast_assets.engines.hub_offline import offline_reason, unreachable_reason
from podcast_assets.engines.model_cache import HubModel, matches_patterns, model_folder, models_folder, snapshot_folder
from podcast_assets.engines.model_lock import LockedFile, LockedModel

if TYPE_CHECKING:
    from podcast_assets.engines.hub_download import DownloadWatcher

log = logging.getLogger(__name__)

_COMMIT = re.compile("[0-9a-f]{40}")
_NEWEST = "main"


@dataclass(frozen=True, slots=True)
class Difference:
    """A file of a downloaded model that differs from the lock file."""

    model: str
    """Name in the lock file."""
    file: str
    path: Path
    """Where its content lies; to delete it makes the next fetch bring it again."""
    problem: str


def find_model(model: HubModel) -> Path | None:
    """The folder of a model on this machine, whole; None if it is not there. Asks nobody.

    First the models folder is looked into, where the lock file says what belongs to the model; then the cache that other programs
    share, where `huggingface_hub` wrote that down or, in older caches, where every file that is named without a wildcard is.

    Raises:
        Misconfigured: the lock file cannot be read.
    """
    from huggingface_hub import constants

    entry = locked_model(model)
    places = (models_folder(), Path(constants.HF_HUB_CACHE))
    if entry and set(model.files) <= set(entry.patterns):
        sizes = {name: file.bytes for name, file in entry.files.items() if matches_patterns(name, model.files)}
        whole = (f for place in places if _has_files(f := snapshot_folder(place, model.repo, entry.commit), sizes))
        return next(whole, None)
    return _find_in_cache(places[1], model, entry.commit if entry else model.revision or _NEWEST)


def fetch_model(model: HubModel, *, update: bool = False, watch: "DownloadWatcher | None" = None) -> Path:
    """The folder of a model, downloaded if it is not there.

    Args:
        model: the model.
        update: take the newest commit, unless a revision is pinned; else the one that was taken before is kept.
        watch: is told how much is downloaded; the log is by default.

    Raises:
        EngineUnavailable: it cannot be had; the message says what to do.
        Misconfigured: the lock file cannot be read.
    """
    if not update and (found := find_model(model)):
        _record_commit(model, found)
        return found
    from huggingface_hub import constants

    if why := offline_reason():
        if update and (found := find_model(model)):
            raise EngineUnavailable(f"{model.repo} cannot be updated, as {why}; {found} is kept")
        raise EngineUnavailable(
            f"{model.repo} is neither in {models_folder()} nor in {constants.HF_HUB_CACHE}, and {why}: download it where the hub "
            "can be reached, and copy the folder here"
        )
    from podcast_assets.engines.hub_download import download, fetch_listing, translate_errors

    folder = models_folder()
    with translate_errors(model), model_lock.lock_folder(folder, model.repo):
        if not update and (found := find_model(model)):  # another process fetched it meanwhile
            return found
        entry = locked_model(model)
        kept = None if update else entry and entry.commit
        listing = fetch_listing(model.repo, model.revision or kept or _NEWEST)
        patterns = tuple(dict.fromkeys([*model.files, *(entry.patterns if entry else ())]))
        listing = replace(listing, files=tuple(f for f in listing.files if matches_patterns(f.name, patterns)))
        found, files = download(model, listing, folder, watch)
        model_lock.write_entry(
            folder,
            model.lock_key,
            LockedModel(model.repo, listing.commit, patterns, listing.licence or model.licence, _timestamp(), files),
        )
    if listing.licence and listing.licence.lower() != model.licence.lower():
        log.warning("%s: the hub gives its licence as %s, not %s", model.repo, listing.licence, model.licence)
    return found


def check_available(model: HubModel, *, seconds: float = 2.0) -> tuple[bool, str]:
    """Check whether a model can be loaded here, with the reason for people. Downloads nothing; may ask the hub.

    Args:
        model: the model.
        seconds: the longest that each step of asking may take.
    """
    if found := find_model(model):
        return True, f"the model {model.repo} is in {found.parents[2]}"
    if why := offline_reason():
        return False, f"the model {model.repo} is not on this machine, and {why}"
    if why := unreachable_reason(seconds):
        return False, f"{model.repo} cannot be had from {why}; try again, what has come is kept"
    from podcast_assets.engines.hub_download import check_access, translate_errors

    entry = locked_model(model)
    try:
        with translate_errors(model):
            check_access(model, model.revision or (entry.commit if entry else _NEWEST), seconds)
    except EngineUnavailable as error:
        return False, str(error)
    return True, f"the model {model.repo} can be downloaded, about {model.megabytes} MB"


def locked_model(model: HubModel) -> LockedModel | None:
    """Entry of a model in the lock file."""
    return model_lock.read_lock_file(models_folder()).get(model.lock_key)


def verify_files(entries: Iterable[tuple[str, LockedModel]]) -> Iterator[tuple[str, str, Difference | None]]:
    """Hash every file of some entries of the lock file again: the entry's name, the file, and the difference if there is one."""
    from huggingface_hub import constants

    places = (models_folder(), Path(constants.HF_HUB_CACHE))
    for name, entry in entries:
        folders = [snapshot_folder(place, entry.repo, entry.commit) for place in places]
        folder = next((f for f in folders if f.is_dir()), folders[0])
        for file, expected in entry.files.items():
            problem = _find_difference(folder / file, expected)
            yield name, file, Difference(name, file, (folder / file).resolve(), problem) if problem else None


def _has_files(folder: Path, sizes: dict[str, int]) -> bool:
    return bool(sizes) and all(
        (folder / name).is_file() and (folder / name).stat().st_size == size for name, size in sizes.items()
    )


def _find_in_cache(cache: Path, model: HubModel, revision: str) -> Path | None:
    """Folder of a model that another program left in a cache; None if it is not there, or not whole."""
    if not _COMMIT.fullmatch(revision):
        try:
            revision = (model_folder(cache, model.repo) / "refs" / revision).read_text().strip()
        except OSError:
            return None
    folder = snapshot_folder(cache, model.repo, revision)
    if not folder.is_dir():
        return None
    from huggingface_hub import get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    try:
        tree = get_cached_repo_tree(model.repo, revision=revision, cache_dir=cache)
    except CachedRepoTreeNotFoundError:
        named = [pattern for pattern in model.files if not re.search(r"[*?\[]", pattern)]
        there = [
            f
            for f in folder.rglob("*")
            if f.is_file() and matches_patterns(f.relative_to(folder).as_posix(), model.files)
        ]
        return folder if there and all((folder / name).is_file() for name in named) else None
    return (
        folder if _has_files(folder, {f.path: f.size for f in tree if matches_patterns(f.path, model.files)}) else None
    )


def _record_commit(model: HubModel, folder: Path) -> None:
    """Write down the commit of a model that another program brought here: it is kept when that program takes a newer one."""
    if locked_model(model):
        return
    files = {
        path.relative_to(folder).as_posix(): LockedFile(path.stat().st_size, model_lock.file_sha256(path))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and matches_patterns(path.relative_to(folder).as_posix(), model.files)
    }
    entry = LockedModel(model.repo, folder.name, model.files, model.licence, _timestamp(), files)
    try:
        model_lock.write_entry(models_folder(), model.lock_key, entry)
    except OSError as error:  # it can be used all the same
        log.warning("cannot record the commit of %s: %s", model.repo, error)


def _find_difference(path: Path, expected: LockedFile) -> str | None:
    if not path.is_file():
        return "is missing"
    if (size := path.stat().st_size) != expected.bytes:
        return f"has {size} bytes instead of {expected.bytes}"
    if (found := model_lock.file_sha256(path)) != expected.sha256:
        return f"has the SHA-256 {found} instead of {expected.sha256}"
    return None


def _timestamp() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
