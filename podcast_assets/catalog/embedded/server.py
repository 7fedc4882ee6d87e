"""The embedded server: started by the first process that uses it, stopped by the last one.

Every process that uses it holds a shared lock, which the kernel releases when the process dies. Whoever leaves and gets the lock
for itself alone stops the server. It listens on a socket in its own folder only; the user who started it may connect, and nobody
else.
"""

import atexit
import contextlib
import fcntl
import hashlib
import logging
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil

from podcast_assets.catalog.embedded.binaries import data_argument, find_program, process_options, server_account
from podcast_assets.common.errors import Misconfigured
from podcast_assets.common.locks import file_lock, private_folder

log = logging.getLogger(__name__)

USER = DATABASE = "catalog"
_LONGEST_SOCKET = 100
"""Characters of a socket's path that every system takes; Linux takes 107."""
_SOCKET = ".s.PGSQL.5432"
_PATIENCE = 120.0
"""Seconds until a server must answer: it may have to recover first."""

_HBA = "local all {user} peer map=owner\n"
_CONFIGURATION = """
# of the embedded catalog; what you add after these lines is kept, and takes precedence
listen_addresses = ''
unix_socket_directories = '.'
unix_socket_permissions = 0777  # the folder around it is closed, and pg_hba.conf asks the kernel who connects
max_connections = 100
shared_buffers = 256MB
work_mem = 32MB
maintenance_work_mem = 512MB
max_wal_size = 4GB
wal_level = minimal
max_wal_senders = 0
# a disk on this machine, and usually not a spinning one
random_page_cost = 1.1
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
# statements hold what people said
log_min_error_statement = panic
"""


class EmbeddedServer:
    """The server of a folder. Instances in the same process share its use of the server."""

    _used: dict[Path, int] = {}  # noqa: RUF012 - the locks of this process, by folder
    """Folder → descriptor of the shared lock."""

    def __init__(self, folder: Path) -> None:
        """Create the object; nothing is started.

        Args:
            folder: `catalog` in DAGSTER_HOME, which holds the data.
        """
        self.folder = folder.absolute()
        self.data = self.folder / "data"

    @property
    def is_running(self) -> bool:
        """Whether the server of this folder runs."""
        return self._pid() is not None

    @property
    def is_kept(self) -> bool:
        """Whether the server stays when nobody uses it."""
        return (self.folder / "keep").exists()

    def use(self) -> str:
        """Start the server unless it runs, and keep it until this process ends.

        Returns:
            Folder of its socket.

        Raises:
            Misconfigured: the extra is not installed, or the server does not start here.
        """
        if self.folder not in self._used:
            find_program("postgres")
            self._make_folder()
            descriptor = os.open(self.folder / "users.lock", os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            self._used[self.folder] = descriptor
            atexit.register(self.leave, os.getpid())
        with self._lock():
            if not self.is_running:
                self._start()
        return self._socket_folder()

    def leave(self, process: int | None = None) -> None:
        """Stop using the server; the last one stops it, unless it is kept.

        Args:
            process: id of the process that may do so; others, which were forked from it, do nothing.
        """
        if process not in (None, os.getpid()) or self.folder not in self._used:
            return
        descriptor = self._used.pop(self.folder)
        try:
            with self._lock():
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    return  # others use it
                if not self.is_kept:
                    self._stop()
        finally:
            os.close(descriptor)

    def keep(self, wanted: bool) -> None:
        """Let the server run when nobody uses it, or not any more."""
        if wanted:
            (self.folder / "keep").touch()
        else:
            (self.folder / "keep").unlink(missing_ok=True)

    def stop(self) -> bool:
        """Stop the server also while others use it; their connections end. Return whether it ran."""
        if not self.folder.is_dir():
            return False
        with self._lock():
            return self._stop()

    def _lock(self) -> contextlib.AbstractContextManager[None]:
        return file_lock(
            self.folder / "start.lock", "waiting for another process that starts or stops the catalog's PostgreSQL"
        )

    def _make_folder(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)

    def _start(self) -> None:
        if not (self.data / "PG_VERSION").exists():
            self._create()
        self._remove_stale_lock()
        with os.fdopen(os.open(self.folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as log_file:
            # by a shell that ends at once: a child of this process would stay a zombie as long as this process lives
            launched = subprocess.run(  # noqa: S603 - programs of the system and of the wheel
                [
                    "/bin/sh",
                    "-c",
                    '"$@" >&2 & echo $!',
                    "sh",
                    str(find_program("postgres")),
                    "-D",
                    data_argument(self.data),
                ],
                stdout=subprocess.PIPE,
                stderr=log_file,
                check=True,
                **process_options(self.data),
            )
        pid = int(launched.stdout)
        end = time.monotonic() + _PATIENCE
        while not self._answers():
            if not _is_alive(pid) or time.monotonic() > end:
                raise Misconfigured(
                    f"the catalog's PostgreSQL does not start; {self.folder / 'log'} ends with: {self._last_line()}"
                )
            time.sleep(0.02)

    def _remove_stale_lock(self) -> None:
        """Remove the lock files of a server that was killed, once its processes are gone.

        PostgreSQL does so itself unless its number is another process's by now, or a zombie's.
        """
        end = time.monotonic() + _PATIENCE
        while (others := self._remaining_processes()) and time.monotonic() < end:
            time.sleep(0.05)
        if others:
            raise Misconfigured(
                f"processes of a PostgreSQL that was killed still use {self.data}: {', '.join(map(str, others))}"
            )
        for name in ("postmaster.pid", _SOCKET, f"{_SOCKET}.lock"):
            (self.data / name).unlink(missing_ok=True)

    def _remaining_processes(self) -> list[int]:
        """Processes of PostgreSQL that work in the folder of the data."""
        found = []
        for process in psutil.process_iter(["name"]):
            if process.info["name"] == "postgres":
                with contextlib.suppress(psutil.Error, OSError):
                    if process.cwd() == str(self.data.resolve()):
                        found.append(process.pid)
        return found

    def _stop(self) -> bool:
        pid = self._pid()
        if pid is None:
            return False
        os.kill(pid, signal.SIGINT)  # a fast shutdown: connections end, and the data are consistent
        end = time.monotonic() + _PATIENCE
        while self.is_running:  # not its exit, which is another process's to collect where this one did not start it
            if time.monotonic() > end:
                raise Misconfigured(
                    f"the catalog's PostgreSQL (process {pid}) does not stop; its log is {self.folder / 'log'}"
                )
            time.sleep(0.02)
        return True

    def _create(self) -> None:
        """Create the data in a folder of another name, so that a crash leaves none that is taken for whole."""
        unfinished = self.folder / "data.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(0o700)
        if account := server_account():
            os.chown(unfinished, *account)
        self._run(
            unfinished, "initdb", "-U", USER, "--auth=peer", "-E", "UTF8", "--locale-provider=builtin", "--locale=C",
            "--builtin-locale=C.UTF-8", "-D", data_argument(unfinished),
        )  # fmt: skip
        owner = psutil.Process().username()
        (unfinished / "pg_hba.conf").write_text(_HBA.format(user=USER))
        (unfinished / "pg_ident.conf").write_text(f"owner {owner} {USER}\n")
        with (unfinished / "postgresql.conf").open("a") as configuration:
            configuration.write(_CONFIGURATION)
        self._run(
            unfinished, "postgres", "--single", "-D", data_argument(unfinished), "postgres",
            stdin=f"CREATE DATABASE {DATABASE}\n",
        )  # fmt: skip
        unfinished.rename(self.data)

    def _run(self, folder: Path, program: str, *arguments: str, stdin: str | None = None) -> None:
        options = process_options(folder)
        if stdin is not None:
            del options["stdin"]
        command = [str(find_program(program)), *arguments]
        try:
            result = subprocess.run(  # noqa: S603 - a program of the wheel
                command, input=stdin, capture_output=True, text=True, check=False, **options
            )
        except PermissionError as error:
            raise Misconfigured(
                f"{command[0]} cannot be started by the user that the catalog's PostgreSQL runs as: install podcast-assets where "
                "every user may read, run it as another user than root, or set PODCAST_CATALOG_URL"
            ) from error
        if result.returncode:
            raise Misconfigured(f"{program} cannot create the catalog's data in {self.folder}: {result.stderr.strip()}")

    def _answers(self) -> bool:
        if self._pid() is None:
            return False
        import psycopg

        try:
            psycopg.connect(host=self._socket_folder(), dbname=DATABASE, user=USER, connect_timeout=5).close()
        except psycopg.OperationalError as error:
            log.debug("the catalog's PostgreSQL does not answer yet: %s", error)
            return False
        return True

    def _pid(self) -> int | None:
        """Process id of the running server; None if it does not run."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            process = psutil.Process(int(lines[0]))
            # another process may have got the number since; the file is written within seconds of the server's start
            same = process.name() == "postgres" and abs(process.create_time() - int(lines[2])) < 60
        except (FileNotFoundError, IndexError, ValueError, psutil.NoSuchProcess):
            return None
        return process.pid if same and _is_alive(process.pid) else None

    def _socket_folder(self) -> str:
        """Folder of the socket; a link to it where its path is too long for a socket."""
        if len(str(self.data / _SOCKET)) <= _LONGEST_SOCKET:
            return str(self.data)
        link = private_folder() / f"catalog-{hashlib.sha256(str(self.data).encode()).hexdigest()[:12]}"
        if not link.is_symlink() or link.readlink() != self.data:
            link.unlink(missing_ok=True)
            with contextlib.suppress(FileExistsError):  # another process made it meanwhile
                link.symlink_to(self.data)
        return str(link)

    def _last_line(self) -> str:
        lines = (self.folder / "log").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "nothing"


def _is_alive(pid: int) -> bool:
    """Whether a process runs, and is more than an exit status that nobody collected."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
