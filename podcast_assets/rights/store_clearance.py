"""Clearance of a whole store, by its current batches, ledger, takedowns, discards and settings."""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import polars as pl

from podcast_assets.common.errors import BadInput
from podcast_assets.intake import rights_ledger as rights
from podcast_assets.intake.feeds.subscriptions import display_name, read_subscriptions
from podcast_assets.rights.clearance import CONTENT_REASONS, Reason, decide_clearance
from podcast_assets.rights.licences import LicenceRules
from podcast_assets.store.discard_records import read_discards
from podcast_assets.store.schema import RAW_AUDIO, schema
from podcast_assets.store.store import STORE_READERS, Store, table_key
from podcast_assets.store.takedown_records import Refusals, read_records


@dataclass(frozen=True)
class StoreClearance:
    """Clearance of all episodes of a store at one moment."""

    episodes: pl.DataFrame
    """Rows of `raw_audio` with their `batch`."""
    clearance: pl.DataFrame
    takedowns: pl.DataFrame
    """Takedown records."""

    def signature(self, batches: Collection[str]) -> str:
        """Digest of all rights decisions about some batches; changes when any decision changes."""
        of_batches = self.clearance.filter(pl.col("batch").is_in(list(batches)))
        orders = self.takedowns.drop("finished_at", "remains")  # progress, which does not affect decisions
        return hashlib.sha256(f"{of_batches.write_ndjson()}{orders.write_ndjson()}".encode()).hexdigest()

    def refused(self, published: pl.DataFrame) -> pl.DataFrame:
        """Episodes that may not be published: batch, episode_id, detail.

        Args:
            published: rows of `episodes/*.parquet` of a dataset; their batches need not be in this store.
        """
        refusals = Refusals(self.takedowns)
        forbidden = self.clearance.filter(~pl.col("cleared"), pl.col("reason") != Reason.DUPLICATE)
        own = {(b, e): detail for b, e, detail in forbidden.select("batch", "episode_id", "detail").iter_rows()}
        contents = (
            forbidden.filter(pl.col("reason").is_in(CONTENT_REASONS))
            .join(self.episodes.select("batch", "episode_id", "sha256"), on=["batch", "episode_id"])
            .select("sha256", "detail")
        )
        by_content = dict(contents.iter_rows())
        found = []
        for batch, episode_id, sha256, podcast_id, podcast in published.select(
            "batch", "episode_id", "sha256", "podcast_id", "podcast"
        ).iter_rows():
            reason = refusals.why(episode_id=episode_id, sha256=[sha256], podcast_id=podcast_id, podcast=podcast)
            if reason := reason or own.get((batch, episode_id)) or by_content.get(sha256):
                found.append((batch, episode_id, reason))
        columns = {"batch": pl.String, "episode_id": pl.String, "detail": pl.String}
        return pl.DataFrame(found, schema=columns, orient="row").sort("batch", "episode_id")


def judge_store(store: Store, licenses: str, sealed: Collection[str]) -> StoreClearance:
    """Decide the clearance of every ingested batch, because decisions apply to copies in other batches too.

    Args:
        store: store with batches, rights ledger, lists of feeds, takedowns and discards.
        licenses: value of PODCAST_LICENSES.
        sealed: batches with samples, whose copies can be released.

    Raises:
        BadInput: a table, the ledger or a record cannot be read.
    """
    batches = store.table_names("tables/raw_audio")
    takedowns, episodes = read_records(store), read_episodes(store, sorted({*batches, *sealed}))
    found = decide_clearance(
        episodes,
        rights.read_ledger(store),
        takedowns,
        licence_rules(store, licenses),
        sealed,
        discards=read_discards(store),
    )
    return StoreClearance(episodes, found, takedowns)


def licence_rules(store: Store, licenses: str) -> LicenceRules:
    """Licences that may be released, with the feeds whose publishers agreed (`take_blocked` in their list)."""
    agreed: dict[str, list[bool]] = defaultdict(list)
    for subscription in read_subscriptions(store).feeds.values():
        agreed[display_name(subscription)].append(subscription.take_blocked)
    # several feeds may have the same redacted URL: all of them must agree
    return LicenceRules.of(licenses, (name for name, answers in agreed.items() if all(answers)))


def read_episodes(store: Store, batches: Iterable[str]) -> pl.DataFrame:
    """Rows of `raw_audio` of some batches, with their `batch`."""

    def read(batch: str) -> pl.DataFrame:
        found = store.read_table(table_key("raw_audio", batch), RAW_AUDIO)
        if found is None:
            raise BadInput(f"batch {batch}: raw_audio is not materialized (by this version): materialize it first")
        return found.select(pl.lit(batch).alias("batch"), pl.all())

    none = pl.DataFrame(schema={"batch": pl.String, **schema(RAW_AUDIO)})
    with ThreadPoolExecutor(STORE_READERS) as readers:
        return pl.concat([none, *readers.map(read, batches)])
