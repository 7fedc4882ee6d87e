"""Download of one file of a list, by the scheme of its URL."""

from podcast_assets.intake.downloads.attempts import DownloadLimits
from podcast_assets.intake.downloads.download import download
from podcast_assets.intake.downloads.http import HttpClient
from podcast_assets.intake.downloads.objects import fetch_object
from podcast_assets.intake.downloads.partial import FileVersion, PartialDownload
from podcast_assets.intake.downloads.urls import BUCKET_SCHEMES, url_scheme


def fetch(
    web: HttpClient, url: str, partial: PartialDownload, limits: DownloadLimits, *, known: FileVersion | None = None
) -> bool:
    """Download a file completely into `partial`; return False if the known version is current.

    See `download` and `fetch_object` for arguments and errors.
    """
    by_scheme = fetch_object if url_scheme(url) in BUCKET_SCHEMES else download
    return by_scheme(web, url, partial, limits, known=known)
