"""Files of a real SFTP server (asyncssh) on the loopback interface."""

import asyncio
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from podcast_assets.common.errors import Misconfigured
from podcast_assets.intake.downloads.attempts import DownloadLimits, NotFetched
from podcast_assets.intake.downloads.fetch import fetch
from podcast_assets.intake.downloads.http import HttpClient
from podcast_assets.intake.downloads.partial import FileVersion, PartialDownload
from podcast_assets.intake.downloads.politeness import HostTurns

asyncssh: Any = pytest.importorskip("asyncssh")
pytest.importorskip("paramiko")
AUDIO = b"ID3\x04\x00" + random.Random(5).randbytes(300_000)


class _PasswordServer(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == ("tester", "open sesame")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path, str]]:
    """Port, folder and public key of a server."""
    folder, key = tmp_path_factory.mktemp("sftp"), asyncssh.generate_private_key("ssh-ed25519")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def listen() -> Any:
        return await asyncssh.listen(
            "127.0.0.1", 0, server_host_keys=[key], server_factory=_PasswordServer,
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(folder)),
        )  # fmt: skip

    listening = asyncio.run_coroutine_threadsafe(listen(), loop).result(60)
    yield listening.get_port(), folder, key.export_public_key().decode().strip()
    loop.call_soon_threadsafe(listening.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(60)


@pytest.fixture
def url(server: tuple[int, Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of a file with audio, on a host that is known."""
    port, folder, key = server
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{port} {key}\n")
    (folder / "a b.mp3").write_bytes(AUDIO)
    return f"sftp://tester:open%20sesame@127.0.0.1:{port}/a%20b.mp3"


def get(
    folder: Path,
    url: str,
    *allowed: str,
    begun: tuple[FileVersion, bytes] | None = None,
    known: FileVersion | None = None,
    **changes: Any,
) -> tuple[bytes, FileVersion] | None:
    hosts = HostTurns(overall=8, per_host=4, delay=0)
    web = HttpClient(hosts, "test", frozenset(allowed or {"127.0.0.1"}))
    limits = DownloadLimits(**({"bytes": 10_000_000, "seconds": 60.0, "tries": 2, "first_wait": 0.01} | changes))
    with PartialDownload(folder, "0" * 32) as partial:
        if begun:
            partial.begin(begun[0])
            partial.write(begun[1])
        return (partial.content().read(), partial.version) if fetch(web, url, partial, limits, known=known) else None


def test_a_file_is_downloaded_continued_and_not_again_while_it_is_the_same(url: str, tmp_path: Path) -> None:
    found = get(tmp_path, url)
    assert found is not None
    assert found[0] == AUDIO
    assert "sesame" not in str(found[1])
    assert get(tmp_path, url, known=found[1]) is None
    mark = b"ID3\x04\x00" + b"?" * 99_995
    continued = get(tmp_path, url, begun=(found[1], mark))
    assert continued is not None
    assert continued[0] == mark + AUDIO[100_000:], "only the rest is asked for"
    other = get(tmp_path, url, begun=(FileVersion(last_modified="1", total=len(AUDIO)), mark))
    assert other is not None
    assert other[0] == AUDIO, "another version is begun again"


def test_unknown_hosts_and_wrong_logins_are_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"add 127\.0\.0\.1 to PODCAST_ALLOW_HOSTS"):
        get(tmp_path, url, "media.example")
    with pytest.raises(NotFetched, match="there is no such file"):
        get(tmp_path, url.replace("a%20b", "none"))
    with pytest.raises(Misconfigured, match="the login was refused"):
        get(tmp_path, url.replace("sesame", "barley"))
    known = tmp_path / ".ssh" / "known_hosts"
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    known.write_text(f"{known.read_text().split()[0]} {other}")
    with pytest.raises(Misconfigured, match="another key than in known_hosts"):
        get(tmp_path, url)
    known.write_text("")
    with pytest.raises(Misconfigured, match=r"the key of the host is not known .*ssh-keyscan -p \d+ 127\.0\.0\.1 >>"):
        get(tmp_path, url)
