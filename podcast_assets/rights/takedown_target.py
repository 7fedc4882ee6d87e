"""Target of a takedown: an episode with all copies, or a podcast with all episodes. Read-only."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from podcast_assets.common.errors import BadInput
from podcast_assets.common.redaction import redact_url
from podcast_assets.intake.downloads.urls import url_key
from podcast_assets.intake.episode_lookup import URL, find_episodes, has_source, url_of
from podcast_assets.intake.feeds.feed import guid_from_url
from podcast_assets.intake.feeds.subscriptions import Subscriptions
from podcast_assets.store.takedown_records import Record, record_id

EPISODE, PODCAST = "episode", "podcast"
_FEED_URL = re.compile("https?://", re.IGNORECASE)


@dataclass
class TakedownTarget:
    """Target of a takedown, with all its names."""

    scope: str
    shown: str
    """Displayed name."""
    episode_ids: set[str] = field(default_factory=set)
    podcast_ids: set[str] = field(default_factory=set)
    podcast_titles: set[str] = field(default_factory=set)
    url_keys: set[str] = field(default_factory=set)
    record: str | None = None
    """Id of the record of an earlier takedown."""

    @property
    def record_id(self) -> str:
        """Id of the target's takedown record."""
        names = self.episode_ids if self.scope == EPISODE else (self.podcast_ids or self.podcast_titles)
        return self.record or record_id(self.scope, sorted(names))


def target_of_record(record: Mapping[str, Any]) -> TakedownTarget:
    """Target of a record, even if its episodes are gone."""
    ids = set(record["episode_ids"]) if record["scope"] == EPISODE else set()
    return TakedownTarget(
        record["scope"],
        record["target"],
        ids,
        set(record["podcast_ids"]),
        set(record["podcast_titles"]),
        set(record["url_keys"]),
        record["takedown"],
    )


def find_target(
    name: str, episodes: pl.DataFrame, ledger: pl.DataFrame, feeds: Subscriptions, records: Iterable[Record]
) -> TakedownTarget:
    """Find the target of a name.

    Args:
        name: an episode (any name that `find_episodes` knows) or a podcast (guid, title, or URL of its feed). An unknown URL is
            taken for a feed whose episodes must not be ingested.
        episodes: rows of `raw_audio` of all batches, with their `batch`.
        ledger: latest rows of the rights ledger.
        feeds: followed feeds.
        records: records of earlier takedowns.

    Raises:
        BadInput: the name is unknown or ambiguous.
    """
    # rows of removed episodes still have the file name
    emptied = set(episodes.filter(has_source(name), pl.col("sha256").is_null())["episode_id"])
    for record in records:
        by_url = URL.match(name) and url_key(name) in record["url_keys"]
        if (
            name in _record_names(record)
            or by_url
            or (record["scope"] == EPISODE and emptied & set(record["episode_ids"]))
        ):
            return target_of_record(record)
    if found := _find_episode_ids(name, episodes, ledger):
        if len(found) > 1:
            raise BadInput(f"{name} is the name of {len(found)} episodes: name one of {', '.join(sorted(found))}")
        (identity,) = found
        return TakedownTarget(EPISODE, identity, {identity})
    if target := _find_podcast(name, episodes, ledger, feeds):
        return target
    raise BadInput(
        f"{name!r} is neither an episode nor a podcast that the store knows; `podcast-assets episodes --limit 0` lists episodes. "
        "A feed is named by its URL, or by its podcast:guid"
    )


def copies_of(episodes: pl.DataFrame, target: TakedownTarget) -> pl.DataFrame:
    """All rows of a target, including copies with the same bytes."""
    own = pl.col("episode_id").is_in(list(target.episode_ids))
    if target.scope == PODCAST:
        nameless = pl.col("podcast_id").is_null() & pl.col("podcast").is_in(list(target.podcast_titles))
        own = own | pl.col("podcast_id").is_in(list(target.podcast_ids)) | nameless
    found = episodes.filter(own)
    while True:
        shas = content_hashes(found)
        more = episodes.filter(
            pl.col("episode_id").is_in(found["episode_id"].to_list())
            | pl.col("sha256").is_in(shas)
            | pl.col("earlier_sha256").list.eval(pl.element().is_in(shas)).list.any().fill_null(False)
        )
        if more.height == found.height:
            return found
        found = more


def content_hashes(rows: pl.DataFrame) -> list[str]:
    """SHA-256 of the episodes' bytes and of earlier content of their URLs."""
    return sorted({*rows["sha256"].drop_nulls(), *rows["earlier_sha256"].explode().drop_nulls()})


def urls_of(rows: pl.DataFrame) -> list[str]:
    """URLs that episodes came from."""
    return [url for row in rows.select("metadata").iter_rows(named=True) if (url := url_of(row))]


def _record_names(record: Mapping[str, Any]) -> set[str]:
    names = {record["takedown"], record["target"], *record["podcast_ids"], *record["podcast_titles"]}
    if record["scope"] == EPISODE:
        names |= {*record["episode_ids"], *record["episodes"], *record["sha256"]}
    return names


def _find_episode_ids(name: str, episodes: pl.DataFrame, ledger: pl.DataFrame) -> set[str]:
    """Ids of the episodes with a name, one of those with the same bytes, because a takedown takes all copies."""
    found = find_episodes(name, episodes)
    if found["sha256"].count():  # rows of removed episodes still have the file name
        found = found.filter(pl.col("sha256").is_not_null())
    by_content: dict[str, str] = {}
    for episode, sha256 in found.select("episode_id", "sha256").iter_rows():
        by_content.setdefault(sha256 or episode, episode)
    return {*by_content.values(), *ledger.filter(episode_id=name)["episode_id"]}


def _find_podcast(
    name: str, episodes: pl.DataFrame, ledger: pl.DataFrame, feeds: Subscriptions
) -> TakedownTarget | None:
    if not _FEED_URL.match(name):
        ids = {*episodes.filter(podcast_id=name)["podcast_id"], *ledger.filter(podcast_guid=name)["podcast_guid"]}
        if ids:
            return _with_feed(TakedownTarget(PODCAST, name, podcast_ids=ids), ledger, feeds)
        titled = episodes.filter(podcast=name)
        ids = set(titled["podcast_id"].drop_nulls()) | set(ledger.filter(podcast=name)["podcast_guid"])
        if len(ids) > 1:
            raise BadInput(
                f"{name!r} is the title of {len(ids)} podcasts: name one by its guid: {', '.join(sorted(ids))}"
            )
        if ids:
            return _with_feed(TakedownTarget(PODCAST, name, podcast_ids=ids), ledger, feeds)
        return TakedownTarget(PODCAST, name, podcast_titles={name}) if titled.height else None
    ids = set(ledger.filter(feed=redact_url(name))["podcast_guid"])
    if len(ids) > 1:  # feeds whose URLs differ only in redacted parts
        raise BadInput(
            f"{redact_url(name)} is the feed of {len(ids)} podcasts: name one by its guid: {', '.join(sorted(ids))}"
        )
    return TakedownTarget(PODCAST, redact_url(name), podcast_ids=ids or {guid_from_url(name)}, url_keys={url_key(name)})


def _with_feed(target: TakedownTarget, ledger: pl.DataFrame, feeds: Subscriptions) -> TakedownTarget:
    """Add the followed feeds of a podcast whose redacted URL is unambiguous."""
    names = set(ledger.filter(pl.col("podcast_guid").is_in(list(target.podcast_ids)))["feed"].drop_nulls())
    for name in names:
        keys = [key for key, s in feeds.feeds.items() if redact_url(s.url) == name]
        if len(keys) == 1:
            target.url_keys.add(keys[0])
    return target
