"""What pages say about their episodes: rows of the rights ledger, and metadata where the list gives none."""

import datetime
from collections.abc import Mapping
from typing import Any

from podcast_assets.common.redaction import redact_url
from podcast_assets.intake.feeds.feed import guid_from_url
from podcast_assets.intake.given_metadata import fill_missing
from podcast_assets.intake.metadata import first_text
from podcast_assets.intake.rights_ledger import add_to_ledger
from podcast_assets.store.schema import make_table
from podcast_assets.store.schema_beside import RIGHTS
from podcast_assets.store.store import Store

Page = Mapping[str, str | None]
"""`MediaPage.facts`."""


def note_page(store: Store, episode_id: str, page: Page, row: Mapping[str, Any]) -> None:
    """Add what a page says of the rights in its episode to the rights ledger, unless it says the same as before.

    A licence in the row of the list, which somebody gave for this URL, takes precedence over that of the page.

    Args:
        store: store with the ledger.
        episode_id: id of the episode.
        page: what its page says.
        row: its row of the list.
    """
    channel = page["channel_url"] or page["channel"] or page["webpage_url"] or ""
    licence = first_text(row, "license", "licence") or page["license"]
    statement = {
        "episode_id": episode_id,
        "podcast_guid": guid_from_url(channel),
        "guid": f"{page['extractor']}:{page['id']}",
        "podcast": page["channel"],
        "title": page["title"],
        "feed": _redacted(page["channel_url"]),
        "source": _redacted(page["webpage_url"]),
        "license": licence,
        "uploader": page["uploader"],
        "taken": True,
        "observed_at": datetime.datetime.now(datetime.UTC),
    }
    add_to_ledger(store, statement["podcast_guid"], make_table([dict.fromkeys(RIGHTS) | statement], RIGHTS))


def fill_from_page(row: Mapping[str, Any], page: Page) -> dict[str, Any]:
    """Return the row of a list with title, podcast, licence, page and date where it gives none."""
    said = {
        "title": page["title"],
        "podcast": page["channel"],
        "author": page["uploader"],
        "license": page["license"],
        "published": page["published"],
        "link": _redacted(page["webpage_url"]),
    }
    return fill_missing(row, {name: text for name, text in said.items() if text})


def _redacted(url: str | None) -> str | None:
    return redact_url(url) if url else None
