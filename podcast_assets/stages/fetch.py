"""Download what a list of URLs names, before its episodes are ingested: resume, failures, progress.

To run again is to resume: what the batch downloaded is taken, what broke off goes on where it was, and what failed for good is
not asked for again.
"""

import logging
import mimetypes
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl

from podcast_assets.common.errors import is_store_trouble
from podcast_assets.common.fingerprint import fingerprint
from podcast_assets.config.settings import Settings
from podcast_assets.intake.arrivals import INCOMING, Arrival
from podcast_assets.intake.downloads.download import DownloadLimits, download
from podcast_assets.intake.downloads.downloaded import DownloadRecord, DownloadRecords
from podcast_assets.intake.downloads.http import HttpClient, Transient
from podcast_assets.intake.downloads.partial import PartialDownload
from podcast_assets.intake.downloads.politeness import HostTurns
from podcast_assets.intake.downloads.urls import redact_url, url_key
from podcast_assets.intake.links import Link, parse_link_list
from podcast_assets.intake.metadata import JoinedMetadata
from podcast_assets.intake.names import episode_id
from podcast_assets.intake.references import LARGEST, fetch_references
from podcast_assets.intake.refusing import link_refusal
from podcast_assets.intake.unpack import MEDIA_SUFFIXES, SourceFile, UnpackedBatch
from podcast_assets.stages.resume import decide, failure_row
from podcast_assets.stages.runner import NothingDone
from podcast_assets.store.commits import CommittedTable
from podcast_assets.store.schema import FAILURES, make_table
from podcast_assets.store.store import Store
from podcast_assets.store.takedown_records import Refusals

log = logging.getLogger(__name__)

STAGE = "download"
VERSION = "1"
_THREADS = 64
"""Most of them wait: for their turn at a host, or for what it asked to wait. PODCAST_DOWNLOADS bounds the connections."""
_SUFFIXES = {"audio/mpeg": ".mp3", "audio/mp4": ".m4a", "audio/x-m4a": ".m4a", "audio/ogg": ".ogg", "audio/wav": ".wav"}
"""Where `mimetypes` knows none, or a rare one."""

_OWN_METADATA = "a list of URLs has its metadata in itself"


@dataclass
class Fetched:
    """What became of a list."""

    unpacked: UnpackedBatch
    metadata: JoinedMetadata
    failures: pl.DataFrame
    downloaded: int = 0
    """In this run; the others were there."""
    failed_now: int = 0
    """Failures of this run; the others are of an earlier one, and for good."""
    troubles: list[str] = field(default_factory=list)
    """Of transcripts that could not be had."""


def web_of(settings: Settings) -> HttpClient:
    """The network as the settings allow it."""
    hosts = HostTurns(
        overall=settings.downloads, per_host=settings.downloads_per_host, delay=settings.download_host_delay
    )
    return HttpClient(hosts, settings.user_agent, frozenset(settings.allowed_hosts))


def limits_of(settings: Settings) -> DownloadLimits:
    """What a download may cost."""
    return DownloadLimits(
        settings.download_bytes, settings.download_seconds, settings.download_tries, settings.download_backoff
    )


def fetch(
    store: Store,
    arrival: Arrival,
    settings: Settings,
    committed: CommittedTable,
    report: Callable[[str], None] = lambda line: None,
) -> Fetched:
    """Download everything that a list names and that is not there yet.

    Args:
        store: where it goes.
        arrival: a batch that is a list.
        settings: limits, politeness, allowed hosts.
        committed: what the last run committed of `raw_audio`.
        report: is told how it goes.

    Raises:
        BadInput: the list cannot be read.
        NothingDone: nothing of several could be had, and not because of the links.
        OSError: the store is full or read-only.
    """
    name = arrival.files[0].key
    found = parse_link_list(name, store.read(f"{INCOMING}/{name}"))
    work = _Work(store, arrival.batch, settings, web_of(settings), limits_of(settings))
    refusals = Refusals.of(store)
    refused = {link.source: (link, why) for link in found.links if (why := link_refusal(refusals, link))}
    links = [link for link in found.links if link.source not in refused]
    result = Fetched(
        UnpackedBatch(
            skipped=found.skipped
            | dict.fromkeys((f.key for f in arrival.metadata), _OWN_METADATA)
            | {source: why for source, (_, why) in refused.items()},
            broken=found.broken,
            identities={source: link.failed_id for source, (link, _) in refused.items()},
        ),
        JoinedMetadata({link.source: described(link.row) for link in links}, [], [], [], []),
        make_table([], FAILURES),
    )
    made_by = {link.failed_id: _fingerprint(link) for link in links}
    # what is downloaded already is not asked for again, but each file's transcripts are looked for
    before = decide(made_by, committed, takes_committed=False, retry_permanent=settings.retry_permanent)
    failures = {
        link.source: before.failed_for_good[i] for link in links if (i := link.failed_id) in before.failed_for_good
    }
    todo = [link for link in links if link.failed_id not in before.failed_for_good]
    for link, got in _all(work, todo, report):
        if isinstance(got, Exception):
            result.failed_now += 1
            failures[link.source] = failure_row(
                committed,
                got,
                episode_id=link.failed_id,
                source=link.source,
                stage=STAGE,
                fingerprint=made_by[link.failed_id],
            )
            continue
        download, fresh, troubles = got
        result.downloaded += fresh
        result.troubles += troubles
        result.unpacked.identities[link.source] = _identity(link, download)
        result.unpacked.files.append(SourceFile(link.source, download.stored))
        if download.earlier:
            result.unpacked.earlier[link.source] = list(download.earlier)
    order = [link.source for link in links if link.source in failures]
    for source in order:
        result.unpacked.broken[source] = failures[source]["message"]
        result.unpacked.identities[source] = failures[source]["episode_id"]
    result.failures = make_table([failures[source] for source in order], FAILURES)
    passing = [f for f in failures.values() if not f["permanent"]]
    if not result.unpacked.files and len(passing) == len(links) > 1:
        raise NothingDone(
            f"{arrival.batch}: {STAGE}: none of {len(passing)} links could be downloaded, and not because of them; nothing is "
            f"committed. The last: {passing[-1]['message']}. Mend that, then materialize again."
        )
    return result


@dataclass(frozen=True)
class _Work:
    store: Store
    batch: str
    settings: Settings
    web: HttpClient
    limits: DownloadLimits

    @property
    def folder(self) -> Path:
        """Where unfinished downloads lie."""
        return self.store.storage.scratch()


_Got = tuple[DownloadRecord, bool, list[str]]
"""A download, whether it was made now, and what was wrong with its transcripts."""


def _all(work: _Work, links: Sequence[Link], report: Callable[[str], None]) -> list[tuple[Link, _Got | Exception]]:
    """Download links in threads; in the list's order."""
    if not links:
        return []
    began, failed, size = time.monotonic(), 0, 0
    pool = ThreadPoolExecutor(min(len(links), _THREADS), thread_name_prefix=STAGE)
    running: dict[Future[_Got], Link] = {pool.submit(_one, work, link): link for link in links}
    try:
        for done, future in enumerate(as_completed(running), start=1):
            error = future.exception()
            if error is None:
                size += future.result()[0].stored.bytes if future.result()[1] else 0
            elif isinstance(error, Exception) and not is_store_trouble(error):
                failed += 1
                log.warning("%s: %s: %s", work.batch, STAGE, error, extra={"episode": running[future].source})
            else:
                raise error
            took = time.monotonic() - began
            report(
                f"{work.batch}: {STAGE} {done} of {len(links)}, {failed} failed, {size / 1e6:.1f} MB in {took:.0f} s"
            )
    except BaseException:
        work.web.hosts.stop()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
    outcomes: list[tuple[Link, _Got | Exception]] = []
    for future, link in running.items():
        error = future.exception()
        outcomes.append((link, error if isinstance(error, Exception) else future.result()))
    return outcomes


def _one(work: _Work, link: Link) -> _Got:
    """The download of a link: from before where it is there, and nobody asked for a newer one."""
    downloads = DownloadRecords(work.store)
    own = downloads.of(link.url, work.batch)
    fresh = own is None or work.settings.refresh_downloads
    download = _download(work, link, downloads, own) if fresh else own
    assert download is not None
    small = DownloadLimits(LARGEST, work.limits.seconds, work.limits.tries, work.limits.first_wait)
    identity = _identity(link, download)
    try:
        troubles = fetch_references(work.store, work.web, work.batch, identity, link.row, small, work.folder)
    except Transient as error:
        troubles = [f"a transcript of {link.source}: {error}; tried again when the batch runs again"]
    return download, fresh, troubles


def _download(work: _Work, link: Link, downloads: DownloadRecords, own: DownloadRecord | None) -> DownloadRecord:
    before = own or downloads.latest(link.url)
    with PartialDownload(work.folder, url_key(f"{work.batch} {link.url}")[:32]) as partial:
        if download(work.web, link.url, partial, work.limits, known=before.version if before else None):
            version = partial.version
            stored = work.store.put_original(partial.content(), _suffix(link.url, version.url, version.content_type))
        elif before is not None:
            version, stored = before.version, before.stored
        else:
            raise AssertionError("only what is known can be unchanged")
        others = [] if before is None else [*before.earlier, before.stored.sha256]
        earlier = tuple(dict.fromkeys(sha for sha in others if sha != stored.sha256))
        made = DownloadRecord(stored, version, time.time(), earlier)
        downloads.note(link.url, work.batch, made)
        partial.remove()
    return made


def described(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as metadata keep it: `url` as it was given, and what else is fetched without the secrets of its URL."""
    result = dict(row)
    for name in ("transcript_url", "chapters"):
        if isinstance(row.get(name), str):
            result[name] = redact_url(row[name])
    if isinstance(row.get("transcripts"), list):
        result["transcripts"] = [
            one | {"url": redact_url(one["url"])} if isinstance(one, dict) and isinstance(one.get("url"), str) else one
            for one in row["transcripts"]
        ]
    return result


def _identity(link: Link, download: DownloadRecord) -> str:
    return link.identity or episode_id(link.source, download.stored.sha256)


def _suffix(url: str, came_from: str | None, content_type: str | None) -> str:
    """Of the file in the store: as the URL has it, or as the server names the kind."""
    for place in filter(None, (url, came_from)):
        suffix = PurePosixPath(redact_url(place)).suffix.lower()
        if suffix in MEDIA_SUFFIXES:
            return suffix
    kind = (content_type or "").partition(";")[0].strip().lower()
    return (
        _SUFFIXES.get(kind)
        or (mimetypes.guess_extension(kind) if kind.startswith(("audio/", "video/")) else None)
        or ""
    )


def _fingerprint(link: Link) -> str:
    return fingerprint(stage=STAGE, version=VERSION, engine=None, url=url_key(link.url))
