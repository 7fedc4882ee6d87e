"""Records of downloads, to avoid repeated downloads and to notice changed content under a URL.

One small file per URL and batch, so that two runs never write the same one. It is named by the URL's hash: URLs may hold secrets.
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
    """Time of the download, POSIX seconds."""
    earlier: tuple[str, ...] = field(default=())
    """SHA-256 of earlier content of the same URL: with other inserted advertisements, or before a correction."""
    page: dict[str, str | None] | None = None
    """What its page says about it (`MediaPage.facts`); None for a file that was downloaded from its own URL."""


@dataclass(frozen=True)
class DownloadRecords:
    """Records of all downloads of a store."""

    store: Store

    def of(self, url: str, batch: str) -> DownloadRecord | None:
        """Read a batch's download from a URL; None if there is none or its file is no longer stored."""
        return self._read_record(f"{_records_folder(url)}/{batch}.json")

    def latest(self, url: str) -> DownloadRecord | None:
        """Read the latest download from a URL by any batch; None if there is none that is still stored."""
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
                StoredOriginal(**data["stored"]),
                FileVersion(**data["version"]),
                data["at"],
                tuple(data["earlier"]),
                data.get("page"),
            )
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):  # damaged or of another version: download it again
            return None
        return download if self.store.exists(download.stored.key) else None


def _records_folder(url: str) -> str:
    key = url_key(url)
    return f"downloads/{key[:2]}/{key}"
