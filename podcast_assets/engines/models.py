"""Find, download and verify models: pinned revisions of the Hugging Face hub in a models folder.

The folder is a cache of `huggingface_hub` with a lock file (see `model_lock`). `hub_download` talks to the hub; it is slow to
import, and only imported to download.
"""

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
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
    """Where its content is stored; delete it to download it again."""
    problem: str


def find_model(model: HubModel) -> Path | None:
    """Find the folder of a complete model on this machine, without contacting the hub; None if there is none.

    Looks in the models folder first, where the lock file lists the model's files, and then in the cache of `huggingface_hub`.
    There, a model is complete if it has the files that `huggingface_hub` recorded or, in older caches, every file of `model.files`
    without a wildcard.

    Raises:
        Misconfigured: the lock file cannot be read.
    """
    from huggingface_hub import constants

    entry = locked_model(model)
    caches = (models_folder(), Path(constants.HF_HUB_CACHE))
    if entry and set(model.files) <= set(entry.patterns):
        sizes = {name: file.bytes for name, file in entry.files.items() if matches_patterns(name, model.files)}
        folders = (snapshot_folder(cache, model.repo, entry.commit) for cache in caches)
        return next((folder for folder in folders if _has_files(folder, sizes)), None)
    return _find_in_cache(caches[1], model, entry.commit if entry else model.revision or _NEWEST)


def fetch_model(model: HubModel, *, update: bool = False, watch: "DownloadWatcher | None" = None) -> Path:
    """Return the folder of a model, and download it first if it is missing.

    Args:
        model: the model.
        update: download the newest commit unless a revision is pinned; otherwise keep the recorded commit.
        watch: observer of the download; by default its size is logged.

    Raises:
        EngineUnavailable: the model is not available; the message says what to do.
        Misconfigured: the lock file cannot be read.
    """
    if not update and (found := find_model(model)):
        _record_commit(model, found)
        return found
    from huggingface_hub import constants

    if reason := offline_reason():
        if update and (found := find_model(model)):
            raise EngineUnavailable(f"{model.repo} cannot be updated, because {reason}; {found} is kept")
        raise EngineUnavailable(
            f"{model.repo} is neither in {models_folder()} nor in {constants.HF_HUB_CACHE}, and {reason}: download it where the "
            f"hub can be reached, and copy the folder here{model.install_hint}"
        )
    from podcast_assets.engines.hub_download import download, fetch_listing, translate_errors

    folder = models_folder()
    with translate_errors(model), model_lock.lock_folder(folder, model.repo):
        if not update and (found := find_model(model)):  # another process downloaded it in the meantime
            return found
        entry = locked_model(model)
        recorded = None if update else entry and entry.commit
        listing = fetch_listing(model.repo, model.revision or recorded or _NEWEST)
        patterns = tuple(dict.fromkeys([*model.files, *(entry.patterns if entry else ())]))
        listing = replace(listing, files=tuple(f for f in listing.files if matches_patterns(f.name, patterns)))
        found, files = download(model, listing, folder, watch)
        model_lock.write_entry(
            folder,
            model.lock_key,
            LockedModel(model.repo, listing.commit, patterns, listing.licence or model.licence, _timestamp(), files),
        )
    if listing.licence and listing.licence.lower() != model.licence.lower():
        log.warning("%s: its licence on the hub is %s, not %s", model.repo, listing.licence, model.licence)
    return found


def check_available(model: HubModel, *, seconds: float = 2.0) -> tuple[bool, str]:
    """Check whether a model can be loaded on this machine. Downloads nothing; may ask the hub.

    Args:
        model: the model.
        seconds: time limit of each request to the hub.

    Returns:
        Whether it can, and a one-line explanation.
    """
    if found := find_model(model):
        return True, f"the model {model.repo} is in {found.parents[2]}"
    if reason := offline_reason():
        return False, f"the model {model.repo} is not on this machine, and {reason}{model.install_hint}"
    if reason := unreachable_reason(seconds):
        problem = f"{model.repo} is not available from {reason}; try again, a partial download is resumed"
        return False, problem + model.install_hint
    from podcast_assets.engines.hub_download import check_access, translate_errors

    entry = locked_model(model)
    try:
        with translate_errors(model):
            check_access(model, model.revision or (entry.commit if entry else _NEWEST), seconds)
    except EngineUnavailable as error:
        return False, str(error)
    return True, f"the model {model.repo} can be downloaded, about {model.megabytes} MB"


def locked_model(model: HubModel) -> LockedModel | None:
    """Return the entry of a model in the lock file; None if there is none."""
    return model_lock.read_lock_file(models_folder()).get(model.lock_key)


def verify_files(entries: Iterable[tuple[str, LockedModel]]) -> Iterator[tuple[str, str, Difference | None]]:
    """Compare every file of some entries of the lock file with its recorded size and hash.

    Yields:
        The name of the entry, the file, and the difference if there is one.
    """
    from huggingface_hub import constants

    caches = (models_folder(), Path(constants.HF_HUB_CACHE))
    for name, entry in entries:
        folders = [snapshot_folder(cache, entry.repo, entry.commit) for cache in caches]
        folder = next((f for f in folders if f.is_dir()), folders[0])
        for file, expected in entry.files.items():
            problem = _find_difference(folder / file, expected)
            yield name, file, Difference(name, file, (folder / file).resolve(), problem) if problem else None


def _has_files(folder: Path, sizes: dict[str, int]) -> bool:
    return bool(sizes) and all(
        (folder / name).is_file() and (folder / name).stat().st_size == size for name, size in sizes.items()
    )


def _find_in_cache(cache: Path, model: HubModel, revision: str) -> Path | None:
    """Find the folder of a model that another program downloaded to a cache; None if it is missing or incomplete."""
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
        required = [pattern for pattern in model.files if not re.search(r"[*?\[]", pattern)]
        complete = _matching_files(folder, model.files) and all((folder / name).is_file() for name in required)
        return folder if complete else None
    sizes = {f.path: f.size for f in tree if matches_patterns(f.path, model.files)}
    return folder if _has_files(folder, sizes) else None


def _matching_files(folder: Path, patterns: Sequence[str]) -> dict[str, Path]:
    """Map the names of a folder's files that match any of the patterns to their paths."""
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name: path for name, path in files.items() if matches_patterns(name, patterns)}


def _record_commit(model: HubModel, folder: Path) -> None:
    """Record the commit of a model that another program downloaded, so that it stays in use when that program updates."""
    if locked_model(model):
        return
    files = {
        name: LockedFile(path.stat().st_size, model_lock.file_sha256(path))
        for name, path in _matching_files(folder, model.files).items()
    }
    entry = LockedModel(model.repo, folder.name, model.files, model.licence, _timestamp(), files)
    try:
        model_lock.write_entry(models_folder(), model.lock_key, entry)
    except OSError as error:  # the model can be used anyway
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
