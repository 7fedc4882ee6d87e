"""Stage `download`: the file that a link names, and the transcripts that its publisher offers."""

import json
import mimetypes
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import ClassVar

import polars as pl

from podcast_assets.common.parallel import run_in_threads
from podcast_assets.common.redaction import redact_url
from podcast_assets.config.settings import Settings
from podcast_assets.intake.downloads.attempts import DownloadLimits
from podcast_assets.intake.downloads.downloaded import DownloadRecord, DownloadRecords
from podcast_assets.intake.downloads.fetch import fetch
from podcast_assets.intake.downloads.http import HttpClient, Transient
from podcast_assets.intake.downloads.pages import DOWNLOAD_WITH, fetch_page, is_page
from podcast_assets.intake.downloads.partial import PartialDownload
from podcast_assets.intake.downloads.politeness import HostTurns
from podcast_assets.intake.downloads.urls import url_key
from podcast_assets.intake.file_names import MEDIA_SUFFIXES, file_episode_id
from podcast_assets.intake.links import Link
from podcast_assets.intake.page_statements import note_page
from podcast_assets.intake.references import LARGEST, fetch_references
from podcast_assets.stages.stage import Episode, EpisodeResult, PreparedEpisode
from podcast_assets.store.schema import Columns, make_table
from podcast_assets.store.store import Store, StoredOriginal

DOWNLOADS: Columns = {
    "episode_id": (pl.String, "id that the episode has once its bytes are known"),
    "key": (pl.String, "of the file in the store"),
    "sha256": (pl.String, "of its bytes"),
    "md5": (pl.String, "of its bytes"),
    "bytes": (pl.Int64, "its size"),
    "bytes_downloaded": (pl.Int64, "its size where it was downloaded in this run; else null"),
    "earlier": (pl.List(pl.String), "SHA-256 of other bytes that the same URL gave before"),
    "page": (pl.String, "what its page says about it, JSON; null for a file that was downloaded from its own URL"),
    "reference_problems": (pl.List(pl.String), "why the publisher's transcripts are not available"),
}
"""One row per link. They are held in memory: what is known of a download between runs is its record in `downloads/`."""

_THREADS = 64
"""Most of them wait: for their turn at a host, or as long as it asked. PODCAST_DOWNLOADS bounds the connections."""
_SUFFIXES = {
    **dict.fromkeys(("audio/mpeg", "audio/mp3", "audio/mpeg3", "audio/x-mpeg", "audio/x-mp3", "mp3"), ".mp3"),
    **dict.fromkeys(("audio/mp4", "audio/x-m4a", "audio/m4a"), ".m4a"),
    **dict.fromkeys(("audio/ogg", "application/ogg", "audio/vorbis"), ".ogg"),
    **dict.fromkeys(("audio/wav", "audio/x-wav", "audio/wave"), ".wav"),
}
"""Of types that `mimetypes` does not know, or has a rare suffix for."""


def http_client(settings: Settings) -> HttpClient:
    """Return a client with the politeness and the allowed hosts of the settings."""
    hosts = HostTurns(
        overall=settings.downloads, per_host=settings.downloads_per_host, delay=settings.download_host_delay
    )
    return HttpClient(hosts, settings.user_agent, frozenset(settings.allowed_hosts))


def link_episode(link: Link, identity: str) -> Episode:
    """Return the work item of a link.

    Args:
        link: of a list.
        identity: id of the episode while it is not downloaded.
    """
    way = link.row.get(DOWNLOAD_WITH)
    # only where there is one: failures of other links stay as they are
    return Episode(identity, link.source, 0.0, {"url": url_key(link.url), **({DOWNLOAD_WITH: str(way)} if way else {})})


@dataclass(frozen=True)
class Download:
    """Download what links name, many at once, as far as the hosts' limits allow.

    A download that is finished is recorded in the store at once and for good, for this batch and for others, so the stage needs no
    checkpoints: every link reaches it, and a recorded one costs no request. It runs in one process wherever the others compute,
    because the limits per host hold for one process.
    """

    store: Store
    batch: str
    links: Mapping[str, Link]
    """Link of each work item, by its id. (Work items do not hold URLs, because those may hold secrets.)"""
    settings: Settings
    name: ClassVar[str] = "download"
    version: ClassVar[str] = "1"
    columns: ClassVar[Columns] = DOWNLOADS
    asset: ClassVar[str] = "raw_audio"

    @property
    def engine(self) -> None:
        """None: no model is needed."""
        return None

    @property
    def cpu_bound(self) -> bool:
        """False: downloads wait for the network."""
        return False

    def is_thread_safe(self, worker: HttpClient) -> bool:
        """False: `process_all` runs downloads side by side itself."""
        return False

    def load(self, device: str | None = None) -> HttpClient:
        """Return the client that all downloads share."""
        return http_client(self.settings)

    def outputs(self, episode: Episode) -> list[str]:
        """None that are known beforehand: the record of a download names its file."""
        return []

    def prepare(self, episode: Episode) -> None:
        """Do nothing."""

    def smoke_test(self, worker: HttpClient) -> None:
        """Do nothing."""

    def process_all(self, worker: HttpClient, work: Iterable[PreparedEpisode]) -> Iterator[EpisodeResult]:
        """See `Stage`. When it is stopped early, downloads that wait or read end at once."""
        return run_in_threads(
            lambda item: self._process(worker, item.episode),
            work,
            _THREADS,
            name=self.name,
            on_abort=worker.hosts.stop,
        )

    def _process(self, client: HttpClient, episode: Episode) -> EpisodeResult:
        try:
            rows = self._download_link(client, self.links[episode.episode_id])
        except Exception as error:
            return EpisodeResult(episode, error, retried=True)  # as PODCAST_DOWNLOAD_TRIES says
        return EpisodeResult(episode, rows)

    def _download_link(self, client: HttpClient, link: Link) -> pl.DataFrame:
        """Download a link unless it is recorded, and the transcripts that its publisher offers."""
        records = DownloadRecords(self.store)
        recorded = records.of(link.url, self.batch)
        if recorded is None or self.settings.refresh_downloads:
            record = self._download_file(client, link, records, recorded)
            size = record.stored.bytes
        else:
            record, size = recorded, None
        identity = link.identity or file_episode_id(link.source, record.stored.sha256)
        if record.page:
            note_page(self.store, identity, record.page, link.row)
        row = {
            "episode_id": identity,
            "key": record.stored.key,
            "sha256": record.stored.sha256,
            "md5": record.stored.md5,
            "bytes": record.stored.bytes,
            "bytes_downloaded": size,
            "earlier": list(record.earlier),
            "page": json.dumps(record.page) if record.page else None,
            "reference_problems": self._fetch_references(client, link, identity),
        }
        return make_table([row], DOWNLOADS)

    def _download_file(
        self, client: HttpClient, link: Link, records: DownloadRecords, recorded: DownloadRecord | None
    ) -> DownloadRecord:
        """Download a file and record it; where the server says that it is unchanged, keep the one that is stored."""
        url, page = link.url, None
        known = recorded or records.latest(url)
        with PartialDownload(self.store.storage.scratch(), url_key(f"{self.batch} {url}")[:32]) as partial:
            version_before = known.version if known else None
            if is_page(link.row):
                fresh, page = fetch_page(client, url, partial, self._limits(), known=version_before)
            else:
                fresh = fetch(client, url, partial, self._limits(), known=version_before)
            if fresh:
                version = partial.version
                suffix = _file_suffix(url, version.url, version.content_type)
                stored = self.store.put_original(partial.content(), suffix)
            elif known is not None:
                version, stored = known.version, known.stored
            else:
                raise AssertionError("only a known version can be unchanged")
            record = DownloadRecord(stored, version, time.time(), _earlier_contents(known, stored), page)
            records.note(url, self.batch, record)
            partial.remove()
        return record

    def _fetch_references(self, client: HttpClient, link: Link, identity: str) -> list[str]:
        """Fetch the publisher's transcripts, and return why some are not available."""
        folder = self.store.storage.scratch()
        try:
            return fetch_references(
                self.store, client, self.batch, identity, link.row, self._limits(size=LARGEST), folder
            )
        except Transient as error:
            return [f"a transcript of {link.source}: {error}; tried again when the batch runs again"]

    def _limits(self, *, size: int | None = None) -> DownloadLimits:
        s = self.settings
        return DownloadLimits(size or s.download_bytes, s.download_seconds, s.download_tries, s.download_backoff)


def downloaded_original(rows: pl.DataFrame) -> StoredOriginal:
    """Return the stored file of a link's rows."""
    row = rows.row(0, named=True)
    return StoredOriginal(row["key"], row["sha256"], row["md5"], row["bytes"])


def _earlier_contents(known: DownloadRecord | None, stored: StoredOriginal) -> tuple[str, ...]:
    """SHA-256 of the other bytes that the URL gave before."""
    before = [] if known is None else [*known.earlier, known.stored.sha256]
    return tuple(dict.fromkeys(sha for sha in before if sha != stored.sha256))


def _file_suffix(url: str, final_url: str | None, content_type: str | None) -> str:
    """Suffix of the file in the store: that of the URL, else of the media type."""
    for place in filter(None, (url, final_url)):
        suffix = PurePosixPath(redact_url(place)).suffix.lower()
        if suffix in MEDIA_SUFFIXES:
            return suffix
    kind = (content_type or "").partition(";")[0].strip().lower()
    guessed = mimetypes.guess_extension(kind) if kind.startswith(("audio/", "video/")) else None
    return _SUFFIXES.get(kind) or guessed or ""
