"""Lists of URLs and metadata that `submit` and `run` are given: what is written, and what is said about it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podcast_assets.cli.terminal import print_line
from podcast_assets.common.warned import BatchWarning
from podcast_assets.common.wording import count_noun

if TYPE_CHECKING:
    from podcast_assets.config.settings import Settings
    from podcast_assets.store.store import Store


def submit_lists(
    store: "Store", lists: Sequence[Path], batch: str | None, given: Mapping[str, Any]
) -> tuple[list[str], list[BatchWarning]]:
    """Write lists of URLs under incoming/, say so, and return their batches and what deserves a look.

    Args:
        store: store of the batches.
        lists: files; each is a batch of its own unless one is named.
        batch: name of the batch of all of them; None to derive names from the paths.
        given: metadata of rows that give none themselves.
    """
    from podcast_assets.intake.given_tables import read_rows_of_list
    from podcast_assets.intake.place import batch_name_for
    from podcast_assets.intake.submit import submit_list

    batches: list[str] = []
    warnings: list[BatchWarning] = []
    for path in lists:
        rows = read_rows_of_list(path)
        batches.append(batch or batch_name_for([path]))
        submit_list(store, batches[-1], rows, given)
        print_line(f"batch {batches[-1]}: {path.name} is a list of {count_noun(rows.episodes, 'episode URL')}")
        warnings += [BatchWarning("row_unreadable", where, why) for where, why in rows.unreadable.items()]
        warnings += [BatchWarning("skipped", where, why) for where, why in rows.repeated.items()]
    return list(dict.fromkeys(batches)), warnings


def print_places(urls: Sequence[str], settings: "Settings") -> None:
    """Warn of buckets and SFTP hosts that downloads will refuse, because nobody allowed them."""
    from podcast_assets.common.errors import Misconfigured
    from podcast_assets.intake.downloads.objects import check_allowed
    from podcast_assets.intake.downloads.urls import BUCKET_SCHEMES, parse_object_url, parse_sftp_url, url_scheme

    places = [parse_object_url(url).place for url in urls if url_scheme(url) in BUCKET_SCHEMES]
    places += [parse_sftp_url(url).host for url in urls if url_scheme(url) == "sftp"]
    for place in dict.fromkeys(places):
        try:
            check_allowed(place, frozenset(settings.allowed_hosts))
        except Misconfigured as error:
            print_line((str(error), "yellow"))


def check_pages(urls: Sequence[str], *, others: bool) -> None:
    """Check that what is given with `--with` can be pages.

    Args:
        urls: URLs of episodes.
        others: whether files or feeds are given too.

    Raises:
        Misconfigured: it cannot, or yt-dlp is not installed.
    """
    from podcast_assets.common.errors import Misconfigured
    from podcast_assets.intake.downloads.pages import check_installed
    from podcast_assets.intake.downloads.urls import PORTS, url_scheme

    if others or any(url_scheme(url) not in PORTS for url in urls):
        raise Misconfigured(
            "--with is for http(s) URLs of pages and lists of them: submit files, feeds and others separately"
        )
    check_installed()


def print_metadata(tables: Sequence[Path], key: str) -> None:
    """Say which tables are metadata and not lists of URLs."""
    for path in tables:
        print_line(f"{path.name} is metadata, joined by its column {key}; a list of URLs has a column url")


def print_licence(licence: str, settings: "Settings") -> None:
    """Warn of a licence that will not be released."""
    from podcast_assets.rights.licences import LicenceRules, parse_licence

    known = parse_licence(licence)
    if not LicenceRules.of(settings.licenses).allow(known, licence):
        what = f"{known.id} is not among PODCAST_LICENSES" if known else f"the licence {licence!r} is not known"
        print_line((f"{what} ({settings.licenses}): its episodes are processed, and not released", "yellow"))
