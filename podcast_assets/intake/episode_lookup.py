"""Lookup of episodes by the names that people give them: the same rules for every command."""

import json
import re
from collections.abc import Mapping
from typing import Any

import polars as pl

from podcast_assets.common.errors import BadInput
from podcast_assets.common.redaction import redact_text
from podcast_assets.common.wording import join_names
from podcast_assets.intake.downloads.urls import url_key
from podcast_assets.intake.names import normalize

URL = re.compile("[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def find_episodes(name: str, episodes: pl.DataFrame) -> pl.DataFrame:
    """Find all episodes with a name.

    Args:
        name: id, `batch/id`, name of the file, `batch/file`, SHA-256 of the original, or URL that it was downloaded from.
        episodes: rows with `batch`, `episode_id` and `source`, and perhaps `sha256` and `metadata`.

    Returns:
        Rows of the first kind of name in this order that any episode has; empty if it is the name of none.
    """
    batch, _, rest = normalize(name).partition("/")
    of_batch = pl.col("batch") == batch
    kinds = [
        (pl.col("episode_id") == name) | (of_batch & (pl.col("episode_id") == rest)),
        has_source(name) | (of_batch & has_source(rest)),
    ]
    if "sha256" in episodes.columns:
        kinds.append(pl.col("sha256") == name)
    if "metadata" in episodes.columns and URL.match(name):
        key = url_key(name)
        urls = (
            (url_of(row), row["episode_id"]) for row in episodes.select("metadata", "episode_id").iter_rows(named=True)
        )
        ids = {episode for url, episode in urls if url and url_key(url) == key}
        kinds.append(pl.col("episode_id").is_in(list(ids)))
    for kind in kinds:
        if (rows := episodes.filter(kind)).height:
            return rows
    return episodes.clear()


def find_episode(name: str, episodes: pl.DataFrame, unknown: str) -> dict[str, Any]:
    """Find the only episode with a name.

    Args:
        name: as for `find_episodes`.
        episodes: as for `find_episodes`.
        unknown: error message if there is none.

    Raises:
        BadInput: there is none, or several.
    """
    rows = find_episodes(name, episodes)
    if rows.is_empty():
        raise BadInput(unknown)
    if rows.height > 1:
        places = [f"{b}/{e}" for b, e in rows.select("batch", "episode_id").iter_rows()]
        raise BadInput(f"{redact_text(name)} is the name of {rows.height} episodes: name one of {join_names(places)}")
    return rows.row(0, named=True)


def has_source(name: str) -> pl.Expr:
    """Whether the file of an episode has a name; both are compared in NFC."""
    return pl.col("source").str.normalize("NFC") == normalize(name)


def url_of(episode: Mapping[str, Any]) -> str | None:
    """URL that an episode was downloaded from, as its metadata say; None for other episodes."""
    found = json.loads(episode["metadata"]) if episode["metadata"] else {}
    url = found.get("url") if isinstance(found, dict) else None
    return url if isinstance(url, str) and url else None
