"""Records of downloads, to avoid repeated downloads and to notice changed content under a URL.

One small file per URL and batch: two runs never write the same one. It names the URL by its hash, as a URL may hold a secret.
"""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from podcast_assets.intake.downloads.partial import FileVersion
from podcast_assets.intake.downloads.urls import url_key
from podcast_assets.store.store import Store, StoredOriginal


@dataclass(frozen=True)
class DownloadRecord:
    """Record of a completed download in the store."""

    stored: StoredOriginal
    version: FileVersion
    at: float
    """When, POSIX seconds."""
    earlier: tuple[str, ...] = field(default=())
    """SHA-256 of other bytes that the same URL gave before: advertisements that are put in anew, or a corrected episode."""


@dataclass(frozen=True)
class DownloadRecords:
    """Records of all downloads of a store."""

    store: Store

    def of(self, url: str, batch: str) -> DownloadRecord | None:
        """Download of a batch from a URL, if it is still stored."""
        return self._read_record(f"{_records_folder(url)}/{batch}.json")

    def latest(self, url: str) -> DownloadRecord | None:
        """Latest download from a URL by any batch, if it is still stored."""
        keys = [
            f"{_records_folder(url)}/{name}"
            for name in sorted(self.store.names(_records_folder(url)))
            if name.endswith(".json")
        ]
        found = [download for key in keys if (download := self._read_record(key))]
        return max(found, key=lambda d: d.at, default=None)

    def note(self, url: str, batch: str, download: DownloadRecord) -> None:
        """Write the record of a download."""
        self.store.write(f"{_records_folder(url)}/{batch}.json", json.dumps(asdict(download), sort_keys=True).encode())

    def _read_record(self, key: str) -> DownloadRecord | None:
        try:
            data: dict[str, Any] = json.loads(self.store.read(key))
            download = DownloadRecord(
                StoredOriginal(**data["stored"]), FileVersion(**data["version"]), data["at"], tuple(data["earlier"])
            )
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):  # damaged, or of another version: it is downloaded again
            return None
        return download if self.store.exists(download.stored.key) else None


def _records_folder(url: str) -> str:
    key = url_key(url)
    return f"downloads/{key[:2]}/{key}"
