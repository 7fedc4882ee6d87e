"""URL lists: `incoming/<batch>.jsonl`, `.csv`, `.tsv` or `.parquet` with a column `url` and metadata columns."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from podcast_assets.common.errors import BadInput
from podcast_assets.intake.downloads.urls import redact_url_distinctly, url_key
from podcast_assets.intake.encodings import to_utf8
from podcast_assets.intake.metadata import first_text
from podcast_assets.intake.names import slug
from podcast_assets.intake.table_limits import MAX_DEPTH, to_json_row
from podcast_assets.intake.table_reader import limit_for, table_reader
from podcast_assets.intake.tables import LINES_SUFFIXES, read_table_rows, rename_keys, unreadable

URL = "url"


@dataclass(frozen=True)
class Link:
    """An episode to download."""

    url: str = field(repr=False)
    source: str
    """Displayed name: the redacted URL."""
    row: dict[str, Any] = field(repr=False)
    """Row of the list."""
    identity: str | None = None
    """Episode id, if the list names podcast and episode; else it is derived from the downloaded bytes."""

    @property
    def failed_id(self) -> str:
        """Episode id while the episode has not been downloaded."""
        return self.identity or f"{slug(PurePosixPath(self.source).stem)}-{url_key(self.url)[:12]}"


@dataclass
class LinkList:
    """Parsed list of URLs."""

    links: list[Link] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    """Name → reason: the same URL is in the list already."""
    broken: dict[str, str] = field(default_factory=dict)
    """Name → error message about the row."""


def read_link_list(name: str, data: bytes) -> LinkList:
    """Parse a URL list in a subprocess with limits, see `parse_link_list`.

    Raises:
        BadInput: the list cannot be read, or has no column `url`.
        ProcessLost: the subprocess was killed from outside.
    """
    return table_reader.call(limit_for(name, len(data)), parse_link_list, name, data)


def parse_link_list(name: str, data: bytes) -> LinkList:
    """Parse a URL list. Invalid rows are reported, and the others are taken.

    Raises:
        BadInput: the list cannot be read, or has no column `url`.
    """
    result = LinkList()
    seen: dict[str, str] = {}
    any_row = any_url = False
    for number, row in enumerate(read_list_rows(name, data), start=1):
        if isinstance(row, str):
            result.broken[f"{name}, row {number}"] = row
            continue
        any_row, any_url = True, any_url or URL in row
        url = row.get(URL)
        if not isinstance(url, str) or not url.strip():
            result.broken[f"{name}, row {number}"] = "it has no url"
            continue
        source = redact_url_distinctly(url)
        if first := seen.get(url_key(url)):
            result.skipped[f"{source}, row {number}"] = f"the same URL as {first}"
            continue
        seen[url_key(url)] = source
        result.links.append(Link(url.strip(), source, row, _identity_of(row)))
    if result.broken and not any_row:
        raise BadInput(f"{name}: none of its rows can be read; the first: {next(iter(result.broken.values()))}")
    if not any_url:
        raise BadInput(f"{name}: a URL list needs a column {URL!r}; metadata of a batch belong in <batch>.meta.…")
    return result


def feed_episode_id(podcast_guid: str, guid: str) -> str:
    """Id of an episode of a feed, 20 hexadecimal digits: stable when feed or audio move."""
    return hashlib.sha256(f"{podcast_guid}\0{guid}".encode()).hexdigest()[:20]


def format_link_list(rows: Iterable[dict[str, Any]]) -> bytes:
    """Format a URL list as JSON lines; the same rows give the same bytes."""
    return "".join(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in rows).encode()


def _identity_of(row: dict[str, Any]) -> str | None:
    podcast, guid = first_text(row, "podcast_guid"), first_text(row, "guid", "item_guid")
    return feed_episode_id(podcast, guid) if podcast and guid else None


def read_list_rows(name: str, data: bytes) -> Iterable[dict[str, Any] | str]:
    """Iterate over rows, with an error message in place of each unreadable one."""
    if PurePosixPath(name).suffix.lower() not in LINES_SUFFIXES:
        return read_table_rows(name, data, [URL])
    try:
        text, _ = to_utf8(data, guess=False)
    except ValueError as error:
        raise unreadable(name, error) from error
    assert isinstance(text, bytes)
    return (parse_json_row(line) for line in text.removeprefix(b"\xef\xbb\xbf").splitlines() if line.strip())


def parse_json_row(line: bytes) -> dict[str, Any] | str:
    """Parse a line of JSON to a row; return the error message if it is none."""
    try:
        row = json.loads(line)
    except RecursionError:
        return f"it is nested more than {MAX_DEPTH} levels deep"
    except ValueError:
        return "it is not JSON"
    if not isinstance(row, dict):
        return "it is not a JSON object"
    try:
        return to_json_row(rename_keys(row, [URL]))
    except BadInput as error:
        return str(error)
