"""Download of one file by SFTP with paramiko, from hosts that are allowed and whose keys are known.

The user's keys log in, so a list could make this machine read whatever they may read: only hosts that PODCAST_ALLOW_HOSTS lists are
asked, and those that known_hosts does not have are refused.
"""

import contextlib
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from podcast_assets.common.errors import Misconfigured, first_line
from podcast_assets.common.redaction import redact_url
from podcast_assets.intake.downloads.attempts import (
    Check,
    DownloadLimits,
    DownloadProgress,
    NotFetched,
    check_size,
    retry,
    write_body,
)
from podcast_assets.intake.downloads.http import CONNECT_SECONDS, Deadline, HttpClient, OutOfTime, Transient
from podcast_assets.intake.downloads.objects import check_allowed
from podcast_assets.intake.downloads.partial import FileVersion, PartialDownload
from podcast_assets.intake.downloads.politeness import Stopped
from podcast_assets.intake.downloads.sniffing import describe_non_media
from podcast_assets.intake.downloads.urls import ParsedUrl, parse_sftp_url
from podcast_assets.store.store import BLOCK

KNOWN_HOSTS = ("~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts")
_REQUESTS = 64
"""Reads of 32 kB that are under way at once."""


def fetch_sftp(
    web: HttpClient,
    url: str,
    partial: PartialDownload,
    limits: DownloadLimits,
    *,
    known: FileVersion | None = None,
    check: Check = describe_non_media,
) -> bool:
    """Download a file by SFTP completely into `partial`; return False if the known version is current.

    What was received is continued if size and time of the file are still the same. See `fetch_object` for the arguments.

    Raises:
        BadInput: the URL is malformed, there is no such file, or it is too large or not audio.
        Misconfigured: the host is not allowed, its key is unknown or another one, the login fails, or the extra is not installed.
        Transient: the download failed for now; what was received stays in `partial`.
    """
    target, where = parse_sftp_url(url), redact_url(url)
    check_allowed(target.host, web.allowed)

    def attempt(progress: DownloadProgress) -> bool:
        with web.hosts.visit(target.host), progress.budget.spending() as deadline:
            try:
                with _connect(web, target, where, deadline) as sftp:
                    return _read(web, sftp, target, where, partial, limits, known, check)
            except (OSError, EOFError) as error:
                if deadline.over:
                    raise OutOfTime(f"{where}: the download took too long") from None
                raise Transient(f"{where}: {first_line(error)}") from None

    return retry(attempt, partial, limits, web.hosts.sleep)


def _read(
    web: HttpClient,
    sftp: Any,
    target: ParsedUrl,
    where: str,
    partial: PartialDownload,
    limits: DownloadLimits,
    known: FileVersion | None,
    check: Check,
) -> bool:
    path = unquote(target.path.partition("?")[0])
    path = path.removeprefix("/~/") if path.startswith("/~/") else path
    version = _version(sftp, path, where)
    if known is not None and (known.last_modified, known.total) == (version.last_modified, version.total):
        return False
    if (partial.version.last_modified, partial.version.total) != (version.last_modified, version.total):
        partial.begin(version)
    check_size(version, where, limits.bytes)
    with sftp.open(path, "rb") as file:
        file.seek(partial.size)
        if partial.size < (version.total or 0):
            file.prefetch(version.total, _REQUESTS)
        write_body(_blocks(web, file), where, partial, limits.bytes, check)
    if _version(sftp, path, where) != version:
        partial.begin(FileVersion())
        raise Transient(f"{where}: it changed during the download")
    return True


def _blocks(web: HttpClient, file: Any) -> Iterator[bytes]:
    while block := file.read(BLOCK):
        yield block
        if web.hosts.stopped:
            raise Stopped


def _version(sftp: Any, path: str, where: str) -> FileVersion:
    try:
        found = sftp.stat(path)
    except FileNotFoundError:
        raise NotFetched(f"{where}: there is no such file") from None
    except PermissionError:
        raise NotFetched(f"{where}: this user may not read it") from None
    if not stat.S_ISREG(found.st_mode or 0):
        raise NotFetched(f"{where}: it is no file")
    return FileVersion(last_modified=str(found.st_mtime), total=found.st_size, url=where)


@contextlib.contextmanager
def _connect(web: HttpClient, target: ParsedUrl, where: str, deadline: Deadline) -> Iterator[Any]:
    """Log in to a host whose key is known."""
    try:
        import paramiko
    except ImportError as error:
        raise Misconfigured(f"{where}: sftp needs pip install 'podcast-assets[sftp]' ({error})") from None
    user, _, password = (target.login or "").partition(":")
    client = paramiko.SSHClient()
    for name in KNOWN_HOSTS:
        with contextlib.suppress(OSError):
            client.load_system_host_keys(str(Path(name).expanduser()))
    client.set_missing_host_key_policy(_refuse_unknown(paramiko, target, where))
    # the addresses of a host that is allowed may be private
    sock = socket.create_connection((web.resolver(target.host, target.port)[0], target.port), CONNECT_SECONDS)
    deadline.watch(sock)
    try:
        client.connect(
            target.host,
            target.port,
            username=user or None,
            password=password or None,
            sock=sock,
            timeout=CONNECT_SECONDS,
            banner_timeout=web.silence,
            auth_timeout=web.silence,
        )
        sftp: Any = client.open_sftp()
        sftp.get_channel().settimeout(web.silence)
        yield sftp
    except paramiko.BadHostKeyException:
        raise Misconfigured(
            f"{where}: the host has another key than in known_hosts: it may not be the one that you mean. If it was set up again, "
            f"remove the old key by: ssh-keygen -R {_known_name(target)}"
        ) from None
    except paramiko.AuthenticationException:
        raise Misconfigured(
            f"{where}: the login was refused: give the user in the URL, and let a key of ~/.ssh or of the agent log in there"
        ) from None
    except paramiko.SSHException as error:
        raise Transient(f"{where}: {first_line(error)}") from None
    finally:
        client.close()
        sock.close()


def _known_name(target: ParsedUrl) -> str:
    return target.host if target.port == 22 else f"'[{target.host}]:{target.port}'"


def _refuse_unknown(paramiko: Any, target: ParsedUrl, where: str) -> Any:
    class RefuseUnknown(paramiko.MissingHostKeyPolicy):
        def missing_host_key(self, client: Any, hostname: str, key: Any) -> None:
            raise Misconfigured(
                f"{where}: the key of the host is not known ({key.get_name()} {key.fingerprint}): compare it with what the host's "
                f"owner says, then: ssh-keyscan -p {target.port} {target.host} >> ~/.ssh/known_hosts"
            )

    return RefuseUnknown()
