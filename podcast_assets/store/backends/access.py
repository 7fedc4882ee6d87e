"""Who may read the files of a store in a folder: permissions of new files and folders."""

import contextlib
import io
import os
from pathlib import Path
from typing import Literal

Access = Literal["private", "group", "umask"]
"""`private`: only this user. `group`: the group of the folder's files too. `umask`: as the process's umask says."""

_MODES: dict[Access, tuple[int, int]] = {"private": (0o600, 0o700), "group": (0o660, 0o770), "umask": (0o666, 0o777)}


def lock_mode(access: Access) -> int:
    """Permissions of a new lock file, which are set whatever the umask is."""
    return 0o644 if access == "umask" else _MODES[access][0]


def create_file(path: Path, access: Access) -> io.FileIO:
    """Create a file and open it for reading and writing.

    Raises:
        FileExistsError: something, be it a link, has that name.
    """
    mode = _MODES[access][0]

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags | os.O_EXCL | os.O_NOFOLLOW, mode)

    file = io.FileIO(path, "x+", opener=opener)
    if access == "group":  # whatever the umask takes away
        _set_mode(file.fileno(), mode)
    return file


def make_folders(path: Path, access: Access) -> None:
    """Create a folder and the missing ones above it; those that exist keep their permissions."""
    if path.is_dir():
        return
    make_folders(path.parent, access)
    mode = _MODES[access][1]
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode)
        if access == "group":
            _set_mode(path, mode)


def set_file_mode(path: Path, access: Access) -> None:
    """Give a finished file the permissions of the store's files."""
    if access != "umask":
        _set_mode(path, _MODES[access][0])


def _set_mode(file: Path | int, mode: int) -> None:
    with contextlib.suppress(PermissionError):  # mounted file systems without permissions, such as SMB
        os.chmod(file, mode)  # noqa: PTH101
