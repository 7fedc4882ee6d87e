"""What was downloaded from where: so that nothing is downloaded twice, and other bytes under the same URL are noticed.

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
    """A download that is whole, and in the store."""

    stored: StoredOriginal
    version: FileVersion
    at: float
    """When, POSIX seconds."""
    earlier: tuple[str, ...] = field(default=())
    """SHA-256 of other bytes that the same URL gave before: advertisements that are put in anew, or a corrected episode."""


@dataclass(frozen=True)
class DownloadRecords:
    """All downloads of a store."""

    store: Store

    def of(self, url: str, batch: str) -> DownloadRecord | None:
        """What a batch downloaded from a URL, if it is still there."""
        return self._read_record(f"{_records_folder(url)}/{batch}.json")

    def latest(self, url: str) -> DownloadRecord | None:
        """What was downloaded last from a URL, by any batch, if it is still there."""
        keys = [
            f"{_records_folder(url)}/{name}"
            for name in sorted(self.store.names(_records_folder(url)))
            if name.endswith(".json")
        ]
        found = [download for key in keys if (download := self._read_record(key))]
        return max(found, key=lambda d: d.at, default=None)

    def note(self, url: str, batch: str, download: DownloadRecord) -> None:
        """Remember a download."""
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
