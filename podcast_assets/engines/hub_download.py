"""Resumable downloads of models from the Hugging Face hub, with clear errors.

Large files are downloaded here with range requests, because `huggingface_hub` resumes a file only within one process. It downloads
the rest, so that the folder is a cache of `huggingface_hub`.
"""

import contextlib
import errno
import glob
import hashlib
import logging
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from huggingface_hub import HfApi, constants, get_hf_file_metadata, get_token, hf_hub_url, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import (
    are_progress_bars_disabled,
    build_hf_headers,
    disable_progress_bars,
    enable_progress_bars,
    hf_raise_for_status,
    http_stream_backoff,
)

from podcast_assets.common.errors import EngineUnavailable, Misconfigured, first_line
from podcast_assets.common.redaction import redact_text, redact_url
from podcast_assets.engines.hub_offline import offline_reason
from podcast_assets.engines.model_cache import HubModel, matches_patterns, model_folder, models_folder, snapshot_folder
from podcast_assets.engines.model_lock import LockedFile, file_sha256

log = logging.getLogger(__name__)

TRIES, PAUSE_SECONDS = 5, 1.0
"""Attempts without any new bytes before a download fails, and the pause between them."""
SPARE = 1.05
"""Free space that a download needs, as a multiple of its size; file systems are slow when almost full."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a Hub repository at one commit."""

    name: str
    bytes: int
    sha256: str | None
    """Hash of the content; only files in Git LFS have it."""
    blob: str | None
    """Git's blob id of the content; only files that are not in Git LFS have it."""


@dataclass(frozen=True, slots=True)
class RepositoryListing:
    """The files of a Hub repository at one commit."""

    commit: str
    licence: str | None
    files: tuple[RemoteFile, ...]


class DownloadWatcher(Protocol):
    """Observer of a model download."""

    def begin(self, model: HubModel, commit: str, missing: int) -> None:
        """Called before a download of `missing` bytes; 0 if no file is missing."""
        ...

    def advance(self, size: int) -> None:
        """Called after each `size` downloaded bytes."""
        ...


class _LogWatcher:
    """Logs the size and the target of the download."""

    def begin(self, model: HubModel, commit: str, missing: int) -> None:
        if missing:
            log.info("%s: downloading %.0f MB to %s", model.repo, missing / 1e6, models_folder())

    def advance(self, size: int) -> None:
        pass


def fetch_listing(repo: str, revision: str, seconds: float | None = None) -> RepositoryListing:
    """List the files of a model at a revision. Raises the errors of `huggingface_hub`."""
    seconds = seconds or constants.HF_HUB_ETAG_TIMEOUT
    info = HfApi().model_info(repo, revision=revision, files_metadata=True, timeout=seconds)
    card = info.card_data or {}
    licence = card.get("license_name") if card.get("license") == "other" else card.get("license")
    return RepositoryListing(
        commit=info.sha or revision,
        licence=licence if isinstance(licence, str) else None,
        files=tuple(
            RemoteFile(f.rfilename, f.lfs.size, f.lfs.sha256, None)
            if f.lfs
            else RemoteFile(f.rfilename, f.size or 0, None, f.blob_id)
            for f in info.siblings or ()
            if _stays_inside(f.rfilename)
        ),
    )


def check_access(model: HubModel, revision: str, seconds: float) -> None:
    """Request the headers of one of a model's files, as a download would. Raises the errors of `huggingface_hub`."""
    # a listing is not enough: the hub lists the files of gated models to everybody
    file = next((name for name in model.files if not set(name) & set("*?[")), None)
    if file is None:
        listed = fetch_listing(model.repo, revision, seconds).files
        file = next((f.name for f in listed if matches_patterns(f.name, model.files)), model.files[0])
    get_hf_file_metadata(hf_hub_url(model.repo, file, revision=revision), timeout=seconds)


def download(
    model: HubModel, listing: RepositoryListing, folder: Path, watch: DownloadWatcher | None = None
) -> tuple[Path, dict[str, LockedFile]]:
    """Download the files of a listing to a folder, resuming partial files, and verify each of them.

    Returns:
        The folder of the commit, and its files.

    Raises:
        EngineUnavailable: the listing is empty, a file is not the known one, the disk is too full, or a file is damaged.
        Exception: any error of `huggingface_hub`.
    """
    if not listing.files:
        raise EngineUnavailable(
            f"{model.repo} has none of the files {', '.join(model.files)} (commit {listing.commit})"
        )
    expected = dict(model.checksums)
    if changed := [f.name for f in listing.files if f.sha256 and f.sha256 != expected.get(f.name, f.sha256)]:
        raise EngineUnavailable(
            f"{changed[0]} of {model.repo} at commit {listing.commit[:12]} is not the one that is known (its SHA-256 is "
            f"not {expected[changed[0]]}): nothing is downloaded{model.install_hint}"
        )
    watch = watch or _LogWatcher()
    found = snapshot_folder(folder, model.repo, listing.commit)
    blobs = model_folder(folder, model.repo) / "blobs"
    blobs.mkdir(parents=True, exist_ok=True)
    for file in listing.files:
        if (path := found / file.name).is_file() and path.stat().st_size != file.bytes:
            _remove_file(path)
    large = [
        f for f in listing.files if f.sha256 and not (found / f.name).is_file() and not (blobs / f.sha256).exists()
    ]
    small = [f for f in listing.files if not f.sha256 and not (found / f.name).is_file()]
    missing = sum(f.bytes - _file_size(_partial_path(blobs, f)) for f in large) + sum(f.bytes for f in small)
    _check_free_space(model, folder, missing)
    watch.begin(model, listing.commit, missing)
    for file in large:
        url = hf_hub_url(model.repo, file.name, revision=listing.commit)
        _download_file(url, _partial_path(blobs, file), file.bytes, watch)
        _partial_path(blobs, file).replace(blobs / str(file.sha256))
    with _hide_progress_bars():
        snapshot_download(
            model.repo,
            revision=listing.commit,
            cache_dir=folder,
            allow_patterns=[glob.escape(f.name) for f in listing.files],
        )
    watch.advance(sum(f.bytes for f in small))
    return found, {file.name: _check_file(model, file, found / file.name) for file in listing.files}


@contextlib.contextmanager
def translate_errors(model: HubModel) -> Iterator[None]:
    """Convert errors of the block to an `EngineUnavailable` that says what to do."""
    try:
        yield
    except (EngineUnavailable, Misconfigured):
        raise
    except Exception as error:  # those of the hub, the network and the disk have no common base
        raise EngineUnavailable(explain_error(error, model)) from error


def explain_error(error: BaseException, model: HubModel) -> str:
    """Explain in one line why a model is not available, and what to do about it."""
    if isinstance(error, LocalEntryNotFoundError) and error.__cause__ is not None:
        return explain_error(error.__cause__, model)  # it only says that the cache has no copy
    page = f"{redact_url(constants.ENDPOINT)}/{model.repo}"
    if isinstance(error, GatedRepoError):
        todo = "the token has no access to it yet; accept" if get_token() else "set HF_TOKEN, and accept"
        return f"{model.repo} is gated: {todo} its terms on {page} with the account of the token"
    if isinstance(error, RevisionNotFoundError):
        todo = (
            "the pinned revision is gone"
            if model.revision
            else "download the newest with podcast-assets models fetch --update"
        )
        return f"the hub no longer has this revision of {model.repo}: {todo}"
    if isinstance(error, RemoteEntryNotFoundError):
        return f"{model.repo} lacks a required file: see {page}"
    if isinstance(error, RepositoryNotFoundError):
        return f"the hub has no model {model.repo}, or it is private: check the name, or set HF_TOKEN ({page})"
    if isinstance(error, HfHubHTTPError):
        return _explain_refusal(error, model)
    if isinstance(error, OfflineModeIsEnabled):
        return f"{model.repo} is not on this machine, and {offline_reason()}{model.install_hint}"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk of {models_folder()} is full: free some space, or set PODCAST_MODELS to another folder"
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR):
        return f"the models folder {models_folder()} is not writable ({error.strerror}): set PODCAST_MODELS to another"
    reason = first_line(error)
    return (
        f"{model.repo} is not available from {redact_url(constants.ENDPOINT)}: {reason}; try again, a partial download is resumed"
        f"{model.install_hint}"
    )


def _explain_refusal(error: HfHubHTTPError, model: HubModel) -> str:
    status = error.response.status_code
    if status == 401:
        return f"the hub rejects the token for {model.repo}: set HF_TOKEN to a valid one, or unset it"
    if status == 403:
        why = redact_text(error.server_message or "the token in HF_TOKEN may not read it")
        return f"the hub denies access to {model.repo}: {why}"
    if status == 429:
        return f"the hub limits requests for now (status 429): download {model.repo} again in a few minutes, or set HF_TOKEN"
    return f"the hub answers {status} for {model.repo}: try again later; a partial download is resumed"


def _download_file(url: str, target: Path, size: int, watch: DownloadWatcher) -> None:
    """Download a file, resuming a partial one, and reconnect if the connection breaks."""
    tries = TRIES
    while (start := _file_size(target)) != size:
        if start > size:  # not part of this file
            target.unlink()
            continue
        try:
            _resume_download(url, target, start, watch)
        except OSError:  # of the disk, or a response of the hub: another attempt cannot help
            raise
        except Exception as error:  # of the connection; the type depends on the HTTP client of `huggingface_hub`
            tries = TRIES if _file_size(target) > start else tries - 1
            if not tries:
                raise
            log.info("%s: resumed at byte %d (%s)", target.name, _file_size(target), first_line(error))
            time.sleep(PAUSE_SECONDS)
        else:
            if _file_size(target) == start:
                raise OSError(f"the hub sent {start} bytes instead of {size}")


def _resume_download(url: str, target: Path, start: int, watch: DownloadWatcher) -> None:
    headers = build_hf_headers() | {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with http_stream_backoff(
        "GET", url, headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT, retry_on_exceptions=()
    ) as response:
        hf_raise_for_status(response)
        with target.open("ab" if response.status_code == 206 else "wb") as f:
            for block in response.iter_bytes():
                f.write(block)
                watch.advance(len(block))


def _check_file(model: HubModel, file: RemoteFile, path: Path) -> LockedFile:
    """Verify a downloaded file. A damaged file is removed, so that it is downloaded again."""
    size, digest = path.stat().st_size, file_sha256(path)
    damaged = digest != file.sha256 if file.sha256 else file.blob not in (None, _git_blob(path))
    if damaged or size != file.bytes:
        _remove_file(path)
        raise EngineUnavailable(f"{file.name} of {model.repo} has a wrong checksum and was removed: download it again")
    return LockedFile(size, digest)


def _remove_file(path: Path) -> None:
    """Remove a file of a snapshot with the blob that it links to."""
    path.resolve().unlink()
    path.unlink(missing_ok=True)


def _git_blob(path: Path) -> str:
    """Compute Git's blob id of a file: SHA-1 of a header with the size, and the content (Pro Git, chapter 10.2)."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _check_free_space(model: HubModel, folder: Path, missing: int) -> None:
    free = shutil.disk_usage(folder).free
    if missing * SPARE > free:
        raise EngineUnavailable(
            f"{model.repo} needs {missing / 1e6:.0f} MB and {folder} has {free / 1e6:.0f} MB free: free some space, or set "
            "PODCAST_MODELS to another folder"
        )


def _stays_inside(name: str) -> bool:
    """Whether the path of a listed file stays inside the target folder. Git allows no other paths, but a server may."""
    return not (PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts)


def _partial_path(blobs: Path, file: RemoteFile) -> Path:
    return blobs / f"{file.sha256}.incomplete"


def _file_size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@contextlib.contextmanager
def _hide_progress_bars() -> Iterator[None]:
    """Disable the progress bars of `huggingface_hub`, because the `DownloadWatcher` reports progress."""
    if are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()
