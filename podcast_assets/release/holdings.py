"""Sealed samples of a store and the selection for release, read once per release."""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import polars as pl

from podcast_assets.config.content_rules import parse_content_rules
from podcast_assets.quality.policies.policy import Policy
from podcast_assets.release.content_flags import add_column, read_flags
from podcast_assets.release.plan import WantedPart
from podcast_assets.release.published import EPISODES, SEGMENTS
from podcast_assets.release.reviews import add_reviews
from podcast_assets.release.selection import (
    Publish,
    SealedPart,
    index_samples,
    sealed_parts,
    select_samples,
    wanted_parts,
)
from podcast_assets.release.tables import batch_pipeline
from podcast_assets.rights.store_clearance import StoreClearance, judge_store
from podcast_assets.shards.sealing import GRAINS
from podcast_assets.store.review_tables import read_all_reviewed_segments
from podcast_assets.store.schema import EPISODE_SHARDS, HF_SHARDS, PROVENANCE, Columns, empty_table
from podcast_assets.store.stage_names import TABLE_STAGES
from podcast_assets.store.store import STORE_READERS, Store, provenance_key, table_key

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Holdings:
    """Sealed samples of a store and their selection."""

    segments: pl.DataFrame
    """Rows of `reviews.METADATA` of all batches, with the columns of `selection.select_samples`."""
    whole: pl.DataFrame
    """Rows of EPISODE_SHARDS, with the same additional columns."""
    episodes: pl.DataFrame
    """Rows of `raw_audio` with their `batch`."""
    clearance: pl.DataFrame
    """Clearance of the episodes of these batches."""
    batches: frozenset[str]
    """Batches whose segments are known completely."""
    known: frozenset[tuple[str, str]]
    """(grain, batch) that are known completely. Others stay published, so that an unreadable table removes nothing."""
    judged: StoreClearance
    """Clearance of every batch, sealed or not."""
    signature: str
    """Digest of all rights decisions about these batches; changes when any decision changes."""

    def wanted(self) -> list[WantedPart]:
        """Parts to publish."""
        return wanted_parts(self.segments) + wanted_parts(self.whole)

    def hours(self) -> dict[tuple[str, str], float]:
        """(batch, part) → hours of its selected members."""
        found: dict[tuple[str, str], float] = {}
        for rows in (self.segments, self.whole):
            sums = rows.filter("selected").group_by("batch", "part").agg(pl.col("duration").sum() / 3600)
            found |= {(str(batch), str(part)): float(hours) for batch, part, hours in sums.iter_rows()}
        return found

    def parts(self) -> dict[tuple[str, str], SealedPart]:
        """(batch, part) → position of its bytes."""
        return sealed_parts(self.segments) | sealed_parts(self.whole)


def read_holdings(
    store: Store, publish: Publish, licenses: str, exclude: str = "", policy: Policy | None = None
) -> Holdings:
    """Read the sealed samples of a store and select those that may be released.

    Args:
        store: the store.
        publish: `kept` leaves out what the policy does not keep.
        licenses: value of PODCAST_LICENSES.
        exclude: rules about content flags, value of PODCAST_EXCLUDE.
        policy: quality policy, whose rules on what people reviewed apply here.

    Raises:
        BadInput: a table cannot be read, or rules about content flags cannot be applied to a batch.
        Misconfigured: a rule on reviews uses a column that the metadata do not have.
    """
    segments = _read_tables(store, "hf_shards", HF_SHARDS)
    batches = [b for b, table in segments.items() if table is not None]
    whole = _read_tables(store, "episode_shards", EPISODE_SHARDS, only=batches)
    judged = judge_store(store, licenses, batches)
    in_batches = pl.col("batch").is_in(batches)
    clearance = judged.clearance.filter(in_batches)
    sealed = {b: t.select("segment_id", "episode_id", "text") for b, t in segments.items() if t is not None}
    flags = read_flags(store, sealed, parse_content_rules(exclude))
    # a whole episode contains its segments, with what must not be released
    flagged_episodes = flags.excluded.unique(["batch", "episode_id"], keep="first", maintain_order=True)
    rows = add_reviews(_index_rows(segments, HF_SHARDS), read_all_reviewed_segments(store, batches), policy)
    return Holdings(
        select_samples(add_column(rows, flags), clearance, publish, flags.excluded),
        select_samples(_index_rows(whole, EPISODE_SHARDS), clearance, publish, flagged_episodes.drop("segment_id")),
        judged.episodes.filter(in_batches),
        clearance,
        frozenset(batches),
        frozenset(
            {(SEGMENTS, b) for b in batches} | {(EPISODES, b) for b in batches if whole.get(b, True) is not None}
        ),
        judged,
        judged.signature(batches),
    )


def current_clearance_signature(store: Store, licenses: str, held: Holdings) -> str:
    """Current signature of the clearance; it differs if rights have changed since."""
    return judge_store(store, licenses, held.batches).signature(held.batches)


def is_still_sealed(store: Store, batch: str, shard: str, sha256: str) -> bool:
    """Whether a batch's tables still refer to a sealed shard; another run may have resealed the batch."""
    for grain in GRAINS:
        table = store.read_table(table_key(grain.asset, batch), grain.columns)
        if table is not None and table.filter(shard=shard, shard_sha256=sha256).height:
            return True
    return False


def read_pipelines(store: Store, batches: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Read the pipelines: batch → engines and settings by stage."""

    def read(batch: str) -> dict[str, Any]:
        found = {stage: store.read_table(provenance_key(stage, batch), PROVENANCE) for stage in TABLE_STAGES.values()}
        return batch_pipeline({stage: table for stage, table in found.items() if table is not None})

    with ThreadPoolExecutor(STORE_READERS) as readers:
        return dict(zip(batches, readers.map(read, batches), strict=True))


def _read_tables(
    store: Store, asset: str, columns: Columns, only: Sequence[str] | None = None
) -> dict[str, pl.DataFrame | None]:
    """Read the tables of an asset by batch; None for those written by another version."""
    batches = [b for b in store.table_names(f"tables/{asset}") if only is None or b in only]
    with ThreadPoolExecutor(STORE_READERS) as readers:
        tables = readers.map(lambda b: store.read_table(table_key(asset, b), columns), batches)
        found = dict(zip(batches, tables, strict=True))
    for batch in [b for b, table in found.items() if table is None]:
        log.warning("batch %s: %s was written by another version: it stays as it is published", batch, asset)
    return found


def _index_rows(tables: Mapping[str, pl.DataFrame | None], columns: Columns) -> pl.DataFrame:
    """Index the samples of all batches."""
    rows = [index_samples(table, batch) for batch, table in tables.items() if table is not None]
    return pl.concat([index_samples(empty_table(columns), ""), *rows])
