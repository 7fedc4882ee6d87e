"""Reads the page of an episode with yt-dlp: where its audio is, and what the page says about it. Runs in a process of its own.

yt-dlp asks many hosts by many ways, so the guard is below all of them: in this process, names resolve to public addresses only.
"""

import importlib.metadata
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from podcast_assets.common.errors import BadInput, first_line
from podcast_assets.common.redaction import redact_text, redact_url
from podcast_assets.intake.downloads.addresses import ForbiddenAddress, why_forbidden

FORMATS = "bestaudio[protocol=https]/bestaudio[protocol=http]/best[protocol=https]/best[protocol=http]"
"""Files that a plain request downloads, with the best audio; streams in fragments (HLS, DASH) cannot be resumed or bounded."""
_TEMPORARY = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
_SENT = ("Referer", "User-Agent")
"""Headers that the file is asked for with. Cookies are left out: they are of a session that ends with this process."""


class PageNotRead(BadInput):
    """The page has no audio that can be downloaded."""


class PageUnavailable(BadInput):
    """The site fails for now. It is a kind of BadInput only because such errors come out of the process; `pages` translates it."""


@dataclass(frozen=True)
class MediaPage:
    """What a page says about its episode."""

    media_url: str = field(repr=False)
    """Of the file; may contain secrets, and is valid for some hours at many sites."""
    headers: dict[str, str] = field(repr=False)
    """To request it with."""
    facts: dict[str, str | None]
    """license, uploader, channel, channel_url, webpage_url, title, id, extractor, language, published (YYYY-MM-DD)."""


def read_page(url: str, allowed: list[str], user_agent: str, seconds: float) -> MediaPage:
    """Read the page of one episode.

    Args:
        url: http or https URL of the page.
        allowed: hosts that may have a private address.
        user_agent: value of the header.
        seconds: time without an answer after which a request fails.

    Raises:
        PageNotRead: yt-dlp knows no audio there, or it is a list of episodes, a live stream, or a stream in fragments only.
        ForbiddenAddress: the page or what it refers to is not on the public network.
        PageUnavailable: the site does not answer for now.
    """
    from yt_dlp.utils import DownloadError

    where = redact_url(url)
    with _public_network(frozenset(allowed)) as refused:
        try:
            info = _extract(url, user_agent, seconds)
        except DownloadError as error:
            if refused:
                raise ForbiddenAddress(refused[0]) from error
            reason = redact_text(first_line(error).removeprefix("ERROR: "))
            if _is_temporary(error.exc_info[1] if error.exc_info else error):
                raise PageUnavailable(f"{where}: {reason}") from error
            raise PageNotRead(f"{where}: yt-dlp {_version()} finds no audio file there: {reason}") from error
    if info is None or info.get("_type", "video") != "video":
        raise PageNotRead(
            f"{where} is a list of episodes: submit their own URLs, which `yt-dlp --flat-playlist --print url URL` prints"
        )
    if info.get("is_live"):
        raise PageNotRead(f"{where} is live: submit it when it has ended")
    return MediaPage(str(info["url"]), _headers(info.get("http_headers") or {}), describe_page(info))


def describe_page(info: Mapping[str, Any]) -> dict[str, str | None]:
    """What a page says about its episode, from yt-dlp's dictionary, without secrets of URLs."""
    texts = {
        name: _text(info.get(name))
        for name in ("license", "uploader", "channel", "title", "id", "extractor", "language")
    }
    urls = {name: _text(info.get(name)) for name in ("channel_url", "uploader_url", "webpage_url")}
    date = _text(info.get("release_date") or info.get("upload_date"))
    return {
        **texts,
        "channel": texts["channel"] or texts["uploader"],
        "channel_url": urls["channel_url"] or urls["uploader_url"],
        # the path of its usual URL names no episode, and queries are not shown
        "webpage_url": f"https://youtu.be/{texts['id']}" if texts["extractor"] == "youtube" else urls["webpage_url"],
        "published": f"{date[:4]}-{date[4:6]}-{date[6:]}" if date and len(date) == 8 and date.isdigit() else None,
    }


def _extract(url: str, user_agent: str, seconds: float) -> dict[str, Any] | None:
    from yt_dlp import YoutubeDL

    options: dict[str, Any] = {
        "format": FORMATS,
        "noplaylist": True,
        "extract_flat": "in_playlist",  # so that a list is not read as a whole
        "quiet": True,
        "no_warnings": True,
        "noprogress": True,
        "cachedir": False,
        "socket_timeout": seconds,
        "proxy": "",  # a proxy would make connections of its own
        "enable_file_urls": False,
        "http_headers": {"User-Agent": user_agent} if user_agent else {},
        "logger": _Silent(),
    }
    with YoutubeDL(options) as reader:  # pyright: ignore[reportArgumentType]
        return reader.extract_info(url, download=False)  # pyright: ignore[reportReturnType]


def _is_temporary(error: BaseException | None) -> bool:
    """Whether the network or the server failed for now, by what caused an error."""
    from yt_dlp.networking.exceptions import HTTPError, TransportError

    while error is not None:
        if isinstance(error, HTTPError):
            return error.status >= HTTPStatus.INTERNAL_SERVER_ERROR or error.status in _TEMPORARY
        if isinstance(error, TransportError):
            return True
        error = getattr(error, "cause", None) or error.__cause__
    return False


class _Silent:
    """Drops messages: the error that is raised has the one that matters."""

    def debug(self, message: str) -> None:
        """Drop it."""

    warning = error = debug


@contextmanager
def _public_network(allowed: frozenset[str]) -> Iterator[list[str]]:
    """Let names resolve to public addresses only, and yield the list of what was refused."""
    resolve, refused = socket.getaddrinfo, list[str]()

    def resolve_public(host: Any, *arguments: Any, **named: Any) -> list[Any]:
        found = resolve(host, *arguments, **named)
        name = host.decode() if isinstance(host, bytes) else str(host)
        if name in allowed:
            return found
        reasons = {str(entry[4][0]): why_forbidden(str(entry[4][0]).partition("%")[0]) for entry in found}
        public = [entry for entry in found if reasons[str(entry[4][0])] is None]
        if not public:
            refused.append(
                f"{name} is not on the public network ({'; '.join(filter(None, reasons.values()))}), so nothing is read from it. "
                "To allow it, add it to PODCAST_ALLOW_HOSTS."
            )
            raise socket.gaierror(socket.EAI_NONAME, refused[-1])
        return public

    socket.getaddrinfo = resolve_public
    try:
        yield refused
    finally:
        socket.getaddrinfo = resolve


def _headers(found: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in found.items() if name in _SENT}


def _text(value: Any) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _version() -> str:
    return importlib.metadata.version("yt-dlp")
