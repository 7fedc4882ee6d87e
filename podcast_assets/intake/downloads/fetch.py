"""Download of one file of a list, by the scheme of its URL."""

from podcast_assets.intake.downloads.attempts import DownloadLimits
from podcast_assets.intake.downloads.download import download
from podcast_assets.intake.downloads.http import HttpClient
from podcast_assets.intake.downloads.objects import fetch_object
from podcast_assets.intake.downloads.partial import FileVersion, PartialDownload
from podcast_assets.intake.downloads.sftp import fetch_sftp
from podcast_assets.intake.downloads.urls import BUCKET_SCHEMES, url_scheme


def fetch(
    web: HttpClient, url: str, partial: PartialDownload, limits: DownloadLimits, *, known: FileVersion | None = None
) -> bool:
    """Download a file completely into `partial`; return False if the known version is current.

    See `download`, `fetch_object` and `fetch_sftp` for arguments and errors.
    """
    scheme = url_scheme(url)
    by_scheme = fetch_sftp if scheme == "sftp" else fetch_object if scheme in BUCKET_SCHEMES else download
    return by_scheme(web, url, partial, limits, known=known)
