"""The lock file of the models folder: the commit of each downloaded model, and the size and SHA-256 of its files.

It shows whether a model is complete, because every file was verified before it was recorded. Copy it to another machine to
download the same commits there.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podcast_assets.common import locks
from podcast_assets.common.errors import Misconfigured

NAME = "models.lock.json"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class LockedFile:
    """A downloaded file of a model, with its recorded size and SHA-256."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class LockedModel:
    """A downloaded model, as recorded in the lock file."""

    repo: str
    commit: str
    patterns: tuple[str, ...]
    """Patterns of the requested files."""
    licence: str
    """As reported by the hub."""
    fetched_at: str
    """ISO 8601, UTC."""
    files: Mapping[str, LockedFile]
    """Path in the repository → its size and hash."""


def lock_key(repo: str, revision: str | None) -> str:
    """Name of an entry: the requested repository, and the revision if one is pinned."""
    return f"{repo}@{revision}" if revision else repo


def read_lock_file(folder: Path) -> dict[str, LockedModel]:
    """Read the lock file of a models folder; empty if nothing has been downloaded.

    Raises:
        Misconfigured: the lock file is invalid or cannot be read.
    """
    path = folder / NAME
    try:
        content = json.loads(path.read_text())
        if content["format"] != _FORMAT:
            raise Misconfigured(f"{path} was written by another release of podcast-assets (format {content['format']})")
        return {name: _parse_entry(value) for name, value in content["models"].items()}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise Misconfigured(
            f"{path} cannot be read ({error.strerror}): set PODCAST_MODELS to another folder"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Misconfigured(f"{path} cannot be read ({error}): delete it, and fetch the models again") from error


def write_entry(folder: Path, name: str, entry: LockedModel) -> None:
    """Write an entry to the lock file, keeping those of other processes: the file is whole at every moment."""
    with lock_folder(folder, "lock-file"):
        entries = read_lock_file(folder) | {name: entry}
        content = {
            "format": _FORMAT,
            "models": {k: dataclasses.asdict(v) for k, v in sorted(entries.items())},
        }
        temporary = folder / f".{NAME}.part"
        with temporary.open("w") as f:
            f.write(json.dumps(content, indent=1, sort_keys=True) + "\n")
            f.flush()
            os.fsync(f.fileno())
        temporary.replace(folder / NAME)


@contextlib.contextmanager
def lock_folder(folder: Path, name: str) -> Iterator[None]:
    """Hold the lock of an entry in a models folder while the block runs; other processes wait."""
    path = folder / ".locks" / f"{name.replace('/', '--')}.podcast-assets.lock"
    with locks.file_lock(path, f"waiting for another process that fetches {name}"):
        yield


def file_sha256(file: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with file.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def _parse_entry(value: dict[str, Any]) -> LockedModel:
    files = {name: LockedFile(int(f["bytes"]), str(f["sha256"])) for name, f in value["files"].items()}
    return LockedModel(**(value | {"patterns": tuple(value["patterns"]), "files": files}))
