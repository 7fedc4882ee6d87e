"""Episodes on pages of sites that yt-dlp knows, such as YouTube: yt-dlp finds the file, and `download` downloads it.

So size, time, address, content and resumption are checked as for every other file. A row of a list asks for it by its column
`download_with`.
"""

import importlib.util
from collections.abc import Mapping
from typing import Any

from podcast_assets.common.errors import BadInput, Misconfigured
from podcast_assets.common.limited_calls import Limit, LimitedCalls
from podcast_assets.common.redaction import redact_url
from podcast_assets.common.worker_process import ProcessLost
from podcast_assets.intake.downloads.attempts import Check, DownloadLimits
from podcast_assets.intake.downloads.download import download
from podcast_assets.intake.downloads.http import HttpClient, Transient
from podcast_assets.intake.downloads.page_reader import MediaPage, PageUnavailable, read_page
from podcast_assets.intake.downloads.partial import FileVersion, PartialDownload
from podcast_assets.intake.downloads.sniffing import describe_non_media
from podcast_assets.intake.downloads.urls import parse_url

DOWNLOAD_WITH = "download_with"
"""Column of a list of URLs."""
YT_DLP = "yt-dlp"
MEMORY = 64 << 30
"""Limit of the address space of the process that reads pages, bytes: for some sites it starts a JavaScript engine, which reserves
much more than it uses."""
SECONDS = 120.0
"""Time in which a page must be read, with all that it takes to find its file."""

page_reader = LimitedCalls(MEMORY)


def is_page(row: Mapping[str, Any]) -> bool:
    """Whether a row of a list names a page to be read with yt-dlp.

    Raises:
        BadInput: it names something else to download with.
    """
    name = str(row.get(DOWNLOAD_WITH) or "").strip().lower()
    if name not in ("", YT_DLP):
        raise BadInput(f"{DOWNLOAD_WITH} is {name!r}: leave it empty, or write {YT_DLP}")
    return bool(name)


def check_installed() -> None:
    """Check that yt-dlp can be imported.

    Raises:
        Misconfigured: it is not installed.
    """
    if importlib.util.find_spec("yt_dlp") is None:
        raise Misconfigured("pages are read with yt-dlp: pip install 'podcast-assets[yt-dlp]'")


def fetch_page(
    web: HttpClient,
    url: str,
    partial: PartialDownload,
    limits: DownloadLimits,
    *,
    known: FileVersion | None = None,
    check: Check = describe_non_media,
) -> tuple[bool, dict[str, str | None]]:
    """Download the audio of a page completely into `partial`; see `download` for the arguments.

    Returns:
        Whether it was downloaded, as by `download`, and what the page says about it (`MediaPage.facts`).

    Raises:
        BadInput: the page has no audio file, or as `download`.
        Misconfigured: yt-dlp is not installed.
        Transient: it failed for now; what was received stays in `partial`.
    """
    check_installed()
    page = _read(web, url)
    fresh = download(web, page.media_url, partial, limits, known=known, check=check, headers=page.headers)
    return fresh, page.facts


def _read(web: HttpClient, url: str) -> MediaPage:
    where, host = redact_url(url), parse_url(url).host
    with web.hosts.visit(host):
        try:
            limit = Limit(f"the page {where}", SECONDS)
            return page_reader.call(limit, read_page, url, sorted(web.allowed), web.user_agent, web.silence)
        except (PageUnavailable, ProcessLost) as error:
            raise Transient(str(error)) from None
