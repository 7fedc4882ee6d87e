"""Submission of files, folders, episode URLs, lists of them, feeds and feed lists to `incoming/` and `feeds/`."""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from podcast_assets.common.errors import BadInput
from podcast_assets.common.redaction import redact_url
from podcast_assets.intake.arrivals import DEFAULTS, INCOMING, lookup_arrival
from podcast_assets.intake.downloads.urls import (
    PORTS,
    SCHEMES,
    feed_url,
    parse_object_url,
    parse_sftp_url,
    parse_url,
    url_scheme,
)
from podcast_assets.intake.feeds.opml import read_opml
from podcast_assets.intake.feeds.subscriptions import URL_COLUMNS, describe_opml
from podcast_assets.intake.given_metadata import fill_missing, overwrite
from podcast_assets.intake.given_tables import ListRows
from podcast_assets.intake.links import URL, format_link_list
from podcast_assets.intake.names import check_batch_name, slug
from podcast_assets.intake.place import batch_name_for, place_inputs
from podcast_assets.intake.table_reader import limit_for, read_rows, table_reader
from podcast_assets.store.store import Store

FEEDS = "feeds/feeds.csv"
MARKER = "_READY"
_FEED_SUFFIXES = {".xml", ".rss", ".atom"}
_FEED_PARTS = {"feed", "feeds", "rss", "podcast.xml"}


@dataclass(frozen=True)
class Inputs:
    """Submitted inputs by kind."""

    places: list[Path]
    urls: list[str]
    """URLs of episodes."""
    feeds: list[str]
    lists_of_feeds: list[Path]
    """OPML files."""


@dataclass(frozen=True)
class SubmittedOpml:
    """A list of feeds that was stored."""

    key: str
    feeds: int
    """Number of different feeds in it."""
    trouble: str | None
    """What deserves a look in it; None if there is nothing."""


def sort_inputs(inputs: Sequence[str], *, feeds: bool | None = None) -> Inputs:
    """Sort inputs by kind, without network access.

    Args:
        inputs: paths and http(s) URLs.
        feeds: whether the URLs are feeds; None to decide by their paths.

    Raises:
        BadInput: an input is neither a supported URL nor an existing path.
    """
    result = Inputs([], [], [], [])
    for text in inputs:
        scheme = url_scheme(text)
        if feed_url(text) != text.strip() and not Path(text).exists():
            result.feeds.append(feed_url(text))
        elif scheme in PORTS:
            parse_url(text)
            (result.feeds if feeds or (feeds is None and looks_like_feed(text)) else result.urls).append(text)
        elif scheme in SCHEMES and not feeds:
            (parse_sftp_url if scheme == "sftp" else parse_object_url)(text)
            result.urls.append(text)
        elif scheme:
            raise BadInput(f"{redact_url(text)}: {scheme} URLs are not supported: give an http or https URL")
        elif not Path(text).exists():
            shown = redact_url(text) if "@" in text else text  # a URL without its scheme, maybe
            raise BadInput(f"{shown}: neither an existing file or folder nor a URL")
        elif not Path(text).is_file() and not Path(text).is_dir():
            raise BadInput(f"{text}: neither a file nor a folder")
        elif _is_opml(Path(text)):
            result.lists_of_feeds.append(Path(text))
        else:
            result.places.append(Path(text))
    return result


def _is_opml(path: Path) -> bool:
    """Whether a file is a list of feeds: by its suffix, or, of XML, by its root."""
    suffix = path.suffix.lower()
    if suffix != ".xml" or not path.is_file():
        return suffix == ".opml"
    with path.open("rb") as file:
        return b"<opml" in file.read(4_096).lower()


def looks_like_feed(url: str) -> bool:
    """Whether a URL looks like a feed, by its path: URLs of audio have an audio suffix."""
    path = PurePosixPath(urlsplit(url).path.lower())
    return path.suffix in _FEED_SUFFIXES or (not path.suffix and bool(_FEED_PARTS & set(path.parts)))


def submit_files(store: Store, inputs: Sequence[Path], batch: str | None, given: Mapping[str, Any]) -> str:
    """Place files, folders and archives under `incoming/` with the ready marker, and return the batch.

    Args:
        store: store of the batch.
        inputs: files and folders.
        batch: name of the batch; None to derive it from the inputs.
        given: metadata of episodes whose own give none (`GivenMetadata.row`).

    Raises:
        BadInput: see `place_inputs`.
    """
    name = batch or batch_name_for(inputs)
    place_inputs(store, inputs, name)
    defaults = f"{INCOMING}/{name}/{DEFAULTS}"
    if given:
        text = json.dumps(given, ensure_ascii=False).encode()
        if not store.exists(defaults) or store.read(defaults) != text:  # rewriting it would change the batch
            store.write(defaults, text)
    store.write(f"{INCOMING}/{name}/{MARKER}", b"")
    return name


def submit_urls(store: Store, urls: Sequence[str], batch: str | None, given: Mapping[str, Any]) -> str:
    """Write a list of URLs under `incoming/`, or extend the existing one, and return the batch.

    Args:
        store: store of the batch.
        urls: URLs of episodes.
        batch: name of the batch; None to derive it from the URLs.
        given: metadata of the episodes (`GivenMetadata.row`), which replace what the existing list says of them.

    Raises:
        BadInput: another kind of batch has that name, or the name is invalid.
    """
    name = batch or _batch_name_for_urls(urls)
    _write_list(store, name, [{URL: url, **given} for url in dict.fromkeys(urls)])
    return name


def submit_list(store: Store, name: str, rows: ListRows, given: Mapping[str, Any]) -> None:
    """Write the rows of a list of URLs under `incoming/`, or add them to the existing list of the batch.

    Args:
        store: store of the batch.
        name: name of the batch.
        rows: rows of the list; those that cannot be read are kept, so that the batch reports them too.
        given: metadata of rows that give none themselves (`GivenMetadata.row`).

    Raises:
        BadInput: another kind of batch has that name, or the name is invalid.
    """
    _write_list(store, name, [fill_missing(row, given) if URL in row else row for row in rows.rows])


def _write_list(store: Store, batch: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Add rows to the list of a batch. A row with a URL that is in it updates the one that is there."""
    check_batch_name(batch)
    key = f"{INCOMING}/{batch}.jsonl"
    before = store.read(key) if store.exists(key) else b""
    if not before and (existing := lookup_arrival(store, batch)):
        raise BadInput(f"batch {batch}: {existing.files[0].key} has that name already; give another --batch")
    lines = [line for line in before.split(b"\n") if line.strip()]
    known, places = set(lines), dict[str, int]()
    for number, line in enumerate(lines):
        if isinstance(url := _row_of(line).get(URL), str):
            places.setdefault(url, number)
    for row in rows:
        at = places.get(row[URL]) if URL in row else None
        merged = dict(row) if at is None else overwrite(_row_of(lines[at]), row)
        line = format_link_list([merged]).rstrip(b"\n")
        if at is not None:
            lines[at] = line
        elif URL in row or line not in known:
            lines.append(line)
    after = b"".join(line + b"\n" for line in lines)
    if after != before:
        store.write(key, after)


def submit_feeds(store: Store, feeds: Sequence[str], given: Mapping[str, Any]) -> int:
    """Add feeds to `feeds/feeds.csv` and return the number of new ones.

    Args:
        store: store with the list.
        feeds: URLs of feeds.
        given: columns of the new rows, such as `language` and `license`.

    Raises:
        BadInput: the existing file has no column `url`.
    """
    rows = read_rows(FEEDS, before, URL_COLUMNS) if (before := _read_if_there(store, FEEDS)).strip() else []
    columns = list(rows[0]) if rows else ["url", "language"]
    if "url" not in columns:
        raise BadInput(f"{store.path(FEEDS)} has no column url: add the feeds to it by hand")
    known = {feed_url(row["url"]) for row in rows if row["url"]}
    new = [feed for feed in dict.fromkeys(map(feed_url, feeds)) if feed not in known]
    if new:
        out = io.StringIO()
        names = dict.fromkeys([*columns, "language", *given])
        writer = csv.DictWriter(out, list(names), restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        writer.writerows({"url": feed, **given} for feed in new)
        store.write(FEEDS, out.getvalue().encode())
    return len(new)


def submit_opml(store: Store, file: Path) -> SubmittedOpml:
    """Store a list of feeds in `feeds/`; the same content always has the same key.

    Raises:
        BadInput: no feed could be read from it.
    """
    data = file.read_bytes()
    try:
        found = table_reader.call(limit_for("it", len(data)), read_opml, data)
    except BadInput as error:
        raise BadInput(f"{file}: {error}") from error
    if not found.urls:
        raise BadInput(
            f"{file}: no feed was found in it; an OPML list has outlines with an xmlUrl"
            + (f" ({found.damage})" if found.damage else "")
        )
    key = f"feeds/{slug(file.stem)}-{hashlib.sha256(data).hexdigest()[:8]}.opml"
    if not store.exists(key):
        store.write(key, data)
    return SubmittedOpml(key, len(set(map(feed_url, found.urls))), describe_opml(found))


def _read_if_there(store: Store, key: str) -> bytes:
    return store.read(key) if store.exists(key) else b""


def _batch_name_for_urls(urls: Sequence[str]) -> str:
    """Derive a batch name from URLs, so that the same URLs give the same batch."""
    host = slug(urlsplit(urls[0]).hostname or "urls", length=40)
    return f"{host}-{hashlib.sha256(chr(0).join(sorted(urls)).encode()).hexdigest()[:8]}"


def _row_of(line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return row if isinstance(row, dict) else {}
