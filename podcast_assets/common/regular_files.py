"""Reading of folders that somebody else filled: only regular files are opened, and links only where they are allowed.

A link could lead anywhere on this machine, and opening a named pipe or a device could wait forever.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from podcast_assets.common.errors import BadInput

ALLOW_LINKS = "PODCAST_ALLOW_LINKS"
_LINK = f"a symbolic link, which is not followed: put what it leads to in its place, or set {ALLOW_LINKS}=true"
_OTHER_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}
_REPLACED = {errno.ELOOP, errno.ENOTDIR, errno.ENXIO}
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


class NotAFile(BadInput):
    """What lies under the name of a file is something else, or is reached by a link."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """What was found in a folder, other than the folders in it."""

    name: str
    """Path relative to the listed folder, with forward slashes."""
    bytes: int
    modified: float
    """Time of the last change, POSIX seconds."""
    refusal: str | None = None
    """Why it must not be opened; None for a regular file."""


def list_files(top: Path, *, follow_links: bool) -> Iterator[FoundFile]:
    """List everything below a folder except folders, without opening it, in any order.

    What disappears meanwhile is left out. `top` itself may be a link.

    Args:
        top: the folder.
        follow_links: whether links to files and folders are followed; a link to a folder above it never is.

    Raises:
        OSError: the folder, or one below it, cannot be listed.
    """
    waiting = [(top, "", frozenset[tuple[int, int]]())]
    while waiting:
        folder, prefix, above = waiting.pop()
        try:
            above |= {_identity(folder.stat())}
            paths = list(folder.iterdir())
        except FileNotFoundError:
            continue
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                shown = f"{prefix}{path.name}"
                found = inspect(path, shown, follow_links=follow_links)
                if found is None and path.is_symlink() and _identity(path.stat()) in above:
                    found = FoundFile(shown, 0, 0.0, "a symbolic link to a folder that contains it")
                if found is None:
                    waiting.append((path, f"{shown}/", above))
                else:
                    yield found


def inspect(path: Path, name: str, *, follow_links: bool) -> FoundFile | None:
    """Look at a file without opening it; None if it is a folder, or a link to one that may be followed.

    Args:
        path: the file.
        name: its name in the result.
        follow_links: whether a link is followed.

    Raises:
        FileNotFoundError: it does not exist.
    """
    facts = path.lstat()
    is_link = stat.S_ISLNK(facts.st_mode)
    if is_link and not follow_links:
        return FoundFile(name, facts.st_size, facts.st_mtime, _LINK)
    if is_link:
        try:
            facts = path.stat()
        except OSError as error:
            return FoundFile(name, 0, facts.st_mtime, f"a symbolic link that leads nowhere ({error.strerror})")
    if stat.S_ISDIR(facts.st_mode):
        return None
    return FoundFile(name, facts.st_size, facts.st_mtime, _refusal(facts))


def open_file(top: Path, name: str, *, follow_links: bool) -> BinaryIO:
    """Open a regular file below a folder for reading. No link below `top` is followed, even if it has just appeared.

    Args:
        top: the folder; it may itself be a link.
        name: path of the file relative to it, with forward slashes.
        follow_links: whether links are followed.

    Raises:
        NotAFile: it is not a regular file, or is reached by a link that may not be followed.
        FileNotFoundError: it does not exist.
    """
    no_link = 0 if follow_links else os.O_NOFOLLOW
    *folders, last = name.split("/")
    handle = os.open(top, _FOLDER)
    try:  # what is checked can be replaced before it is opened, and then the flags make opening fail
        for folder in folders:
            _check(handle, folder, name, follow_links, stat.S_IFDIR)
            inner = os.open(folder, _FOLDER | no_link, dir_fd=handle)
            os.close(handle)
            handle = inner
        _check(handle, last, name, follow_links, stat.S_IFREG)  # opening a device can already have an effect
        descriptor = os.open(last, _FILE | no_link, dir_fd=handle)
        file = open(top / name, "rb", opener=lambda *_: descriptor)  # noqa: SIM115
    except OSError as error:
        if error.errno in _REPLACED:
            raise NotAFile(f"{name}: not a file, or reached by a link ({error.strerror})") from error
        raise
    finally:
        os.close(handle)
    if refusal := _refusal(os.fstat(file.fileno())):
        file.close()
        raise NotAFile(f"{name}: {refusal}")
    return file


def check_folders(top: Path, name: str, *, follow_links: bool) -> None:
    """Check that no folder on the way to a file below `top` is a link, before the file is written.

    Raises:
        NotAFile: one of them is.
    """
    path = top
    for folder in name.split("/")[:-1]:
        path /= folder
        if not follow_links and path.is_symlink():
            raise NotAFile(f"{path}: {_LINK}")


def _check(handle: int, part: str, name: str, follow_links: bool, kind: int) -> None:
    facts = os.stat(part, dir_fd=handle, follow_symlinks=follow_links)
    if stat.S_ISLNK(facts.st_mode):
        raise NotAFile(f"{name}: {_LINK}")
    if stat.S_IFMT(facts.st_mode) != kind:
        raise NotAFile(f"{name}: {_refusal(facts) or 'a file, not a folder'}")


def _refusal(facts: os.stat_result) -> str | None:
    kind = stat.S_IFMT(facts.st_mode)
    return None if kind == stat.S_IFREG else f"{_OTHER_KINDS.get(kind, 'something else')}, not a file"


def _identity(facts: os.stat_result) -> tuple[int, int]:
    return facts.st_dev, facts.st_ino
