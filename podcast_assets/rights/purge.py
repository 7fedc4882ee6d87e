"""Removal of episodes from the store. Every step is idempotent.

Shards are rewritten before the rows that refer to them, so that a run in between finds the shards as it would have made them.
"""

import logging
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

import polars as pl

from podcast_assets.intake.arrivals import INCOMING, Arrival
from podcast_assets.intake.downloads.partial import PartialDownload
from podcast_assets.intake.downloads.urls import url_key
from podcast_assets.intake.duplicates.exact import holders_key
from podcast_assets.rights.takedown_target import urls_of
from podcast_assets.shards import sealing, thinning
from podcast_assets.shards.episode_grain import episode_content
from podcast_assets.shards.sealing import EPISODE_GRAIN, GRAINS, SEGMENT_GRAIN, Grain
from podcast_assets.speech import voices
from podcast_assets.speech.linking import LINKED
from podcast_assets.store.commits import CommittedTable, commit
from podcast_assets.store.review_tables import TRANSCRIPTS as REVIEWED_TRANSCRIPTS
from podcast_assets.store.review_tables import decisions_key, reviewed_key
from podcast_assets.store.schema import FAILURES, PROVENANCE, RAW_AUDIO, TABLES, Columns, make_table
from podcast_assets.store.schema_beside import FINGERPRINTS, NEAR_DUPLICATES, REVIEW_DECISIONS, REVIEWED_SEGMENTS
from podcast_assets.store.stage_names import TABLE_STAGES
from podcast_assets.store.statistics_table import forget_batches
from podcast_assets.store.store import DamagedTable, Store, sealed_key, table_key

log = logging.getLogger(__name__)

PER_EPISODE = ("diarization", "transcripts", "references", "overrides", REVIEWED_TRANSCRIPTS)
"""Folders with `<batch>/<episode_id>.<suffix>`."""
PER_CONTENT = ("original", "working", "opus", "fingerprint")
"""Folders under `audio/` with `<sha256[:2]>/<sha256>…`."""
_CHECKPOINT = re.compile(r"(?P<episode>.+)-[0-9a-f]{32}\.[a-z]+")


@dataclass
class PurgeResult:
    """Result of a purge: what was removed, or would be."""

    dry: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    """Number of removed files by top folder, and of removed rows by table."""
    shards: list[str] = field(default_factory=list)
    """Keys of the shards with an episode, which are rewritten or removed."""
    remains: list[str] = field(default_factory=list)
    """Keys under incoming/ that still contain an episode."""
    damaged: list[str] = field(default_factory=list)

    def remove(self, store: Store, key: str) -> None:
        """Remove a file."""
        self.counts[f"{key.split('/', 1)[0]}/"] += 1
        if not self.dry:
            store.remove(key)


def purge_batch(
    store: Store, batch: str, rows: pl.DataFrame, reason: str, purged: PurgeResult, *, shard_bytes: int
) -> None:
    """Remove episodes from a batch. The caller must hold the batch's lock.

    Args:
        store: store with the batch.
        batch: the batch.
        rows: rows of `raw_audio` of the episodes to remove.
        reason: reason to write into their rows.
        purged: result to update.
        shard_bytes: value of PODCAST_SHARD_BYTES.
    """
    episodes = set(rows["episode_id"])
    for url in urls_of(rows):
        part = PartialDownload(store.storage.scratch(), url_key(f"{batch} {url}")[:32]).path
        if part.exists():
            purged.counts["scratch/"] += 1
            if not purged.dry:
                part.unlink(missing_ok=True)
    _remove_from_shards(store, batch, episodes, purged, shard_bytes)
    for asset in TABLES:
        _drop_rows(store, asset, batch, episodes, reason, purged)
    for key in _episode_files(store, batch, episodes):
        purged.remove(store, key)
    ours = pl.col("episode_id").is_in(list(episodes))
    _filter_table(store, f"fingerprints/{batch}.parquet", FINGERPRINTS, ~ours, purged)
    for key, columns in ((reviewed_key(batch), REVIEWED_SEGMENTS), (decisions_key(batch), REVIEW_DECISIONS)):
        _filter_table(store, key, columns, ~ours, purged)
    _filter_table(store, voices.KEY, LINKED, ~(ours & (pl.col("batch") == batch)), purged)
    if not purged.dry:
        forget_batches(store, [batch])


def purge_contents(store: Store, shas: Iterable[str], purged: PurgeResult) -> None:
    """Remove contents, the files derived from them, and the records of their holders."""
    for sha256 in shas:
        for kind in PER_CONTENT:
            folder = f"audio/{kind}/{sha256[:2]}"
            for name in sorted(n for n in store.names(folder) if n.startswith(sha256)):
                purged.remove(store, f"{folder}/{name}")
        for name in sorted(store.names(holders_key(sha256))):
            purged.remove(store, f"{holders_key(sha256)}/{name}")
        if not purged.dry:
            store.remove(holders_key(sha256))  # the empty folder is named by the content's hash


def purge_downloads(store: Store, url_keys: Iterable[str], purged: PurgeResult) -> None:
    """Remove the records of downloads from some URLs."""
    for key in url_keys:
        for name in sorted(store.names(f"downloads/{key[:2]}/{key}")):
            purged.remove(store, f"downloads/{key[:2]}/{key}/{name}")


def purge_near_duplicates(store: Store, places: Collection[str], purged: PurgeResult) -> list[str]:
    """Remove the pairs with some episodes (`batch/episode_id`) in all batches, and return the other episodes of these pairs."""
    others: list[str] = []
    for batch in store.table_names("near_duplicates"):
        key = f"near_duplicates/{batch}.parquet"
        name = pl.lit(f"{batch}/") + pl.col("episode_id")
        ours = name.is_in(list(places)) | pl.col("other").is_in(list(places))
        pairs = _filter_table(store, key, NEAR_DUPLICATES, ~ours, purged)
        if pairs is not None:
            others += [*pairs.select(name).to_series(), *pairs["other"]]
    return sorted(set(others).difference(places))


def purge_incoming(store: Store, arrival: Arrival | None, sources: Iterable[str], purged: PurgeResult) -> None:
    """Remove the files of episodes under `incoming/`; archives are not rewritten and are reported in `remains`."""
    if arrival is None or arrival.is_list:
        return
    there = {file.key for file in arrival.files}
    top = arrival.files[0].key.split("/")[0] if arrival.is_folder else None
    for source in sources:
        if top is None:
            purged.remains.append(f"{INCOMING}/{arrival.files[0].key}")
        elif f"{top}/{source}" in there:
            purged.remove(store, f"{INCOMING}/{top}/{source}")
        else:
            parts = source.split("/")
            above = (f"{top}/{'/'.join(parts[:n])}" for n in range(len(parts) - 1, 0, -1))
            purged.remains += [f"{INCOMING}/{key}" for key in above if key in there][:1]


def _remove_from_shards(
    store: Store, batch: str, episodes: Collection[str], purged: PurgeResult, shard_bytes: int
) -> None:
    contents = {} if purged.dry else _content_versions(store, batch, episodes, shard_bytes)
    for grain in GRAINS:
        committed = CommittedTable.read(store, grain.asset, batch)
        if committed.table is not None:
            rows = committed.table.filter(pl.col("episode_id").is_in(list(episodes)))
            purged.shards += [sealed_key(batch, s) for s in rows["shard"].unique(maintain_order=True)]
            if rows.height and not purged.dry:
                purged.counts[f"rows of {grain.asset}"] += rows.height
                _remove_from_grain(store, grain, batch, committed, episodes, purged, contents.get(grain.asset))
        _remove_unreferenced_shards(store, grain, batch, purged)


def _remove_from_grain(
    store: Store,
    grain: Grain,
    batch: str,
    committed: CommittedTable,
    episodes: Collection[str],
    purged: PurgeResult,
    contents: tuple[str, str] | None,
) -> None:
    thinned = thinning.remove_episodes(store, grain, batch, committed.rows, episodes)
    purged.damaged += thinned.damaged
    if contents and thinning.sealed_content(store, grain, batch, committed.rows) == contents[0]:
        thinning.note_content(store, grain, batch, thinned.table, contents[1])
    _commit_rows(store, grain.asset, batch, thinned.table, committed, episodes)


def _remove_unreferenced_shards(store: Store, grain: Grain, batch: str, purged: PurgeResult) -> None:
    """Remove shards that no table refers to and damaged ones, because their content is unknown."""
    committed = CommittedTable.read(store, grain.asset, batch)
    named = set() if committed.table is None else set(committed.table["shard"])
    for entry in list(store.list(sealed_key(batch))):
        shard = entry.key.split("/", 2)[2]
        own = shard.split("/")[1:2] == [grain.folder]
        if own and (shard not in named or entry.key in purged.damaged) and not purged.dry:
            store.remove(entry.key)


def _content_versions(
    store: Store, batch: str, episodes: Collection[str], shard_bytes: int
) -> dict[str, tuple[str, str]]:
    """Content versions of each table with and without some episodes, if all tables of the batch can be read."""
    committed = {asset: CommittedTable.read(store, asset, batch) for asset in TABLES}
    audio, segments, texts = (committed[a].table for a in ("raw_audio", "diarized_segments", "transcripts"))
    scores = committed["quality_scores"].table
    if audio is None or segments is None or texts is None or scores is None:
        return {}
    content = sealing.sample_content(audio, segments, texts)
    content = content.join(scores.select("segment_id"), on="segment_id", how="semi", maintain_order="left")
    content_by_asset = {SEGMENT_GRAIN.asset: content, EPISODE_GRAIN.asset: episode_content(audio, content)}
    found = {}
    for grain in GRAINS:
        fingerprints = committed[grain.asset].fingerprints
        left = {e: f for e, f in fingerprints.items() if e not in episodes}
        found[grain.asset] = (
            sealing.content_version(fingerprints, content_by_asset[grain.asset], shard_bytes, grain),
            sealing.content_version(left, content_by_asset[grain.asset], shard_bytes, grain),
        )
    return found


def _drop_rows(
    store: Store, asset: str, batch: str, episodes: Collection[str], reason: str, purged: PurgeResult
) -> None:
    """Remove the rows of episodes from a table, its provenance and its failures; in `raw_audio` a skipped row remains."""
    committed = CommittedTable.read(store, asset, batch)
    if committed.table is None:
        if store.exists(table_key(asset, batch)):  # damaged or of another version: its content is unknown
            purged.remove(store, table_key(asset, batch))
        for folder, columns in (("provenance", PROVENANCE), ("failures", FAILURES)):
            key = f"{folder}/{TABLE_STAGES[asset]}/{batch}.parquet"
            _filter_table(store, key, columns, ~pl.col("episode_id").is_in(list(episodes)), purged)
        return
    rows = committed.table
    ours = pl.col("episode_id").is_in(list(episodes))
    if asset == "raw_audio":
        emptied = make_table(
            [
                dict.fromkeys(RAW_AUDIO) | {"episode_id": e, "source": source, "status": "skipped", "error": reason}
                for e, source in rows.filter(ours).select("episode_id", "source").iter_rows()
            ],
            RAW_AUDIO,
        )
        left = pl.concat([rows.filter(~ours), emptied]).sort("source", maintain_order=True)
        emptied_before = (pl.col("status") == "skipped") & pl.col("sha256").is_null() & pl.col("metadata").is_null()
        changed = rows.filter(ours & ~emptied_before).height
    else:
        left, changed = rows.filter(~ours), rows.filter(ours).height
    known = {*committed.fingerprints, *committed.failed, *committed.failures["episode_id"]}
    if changed or known & set(episodes):
        purged.counts[f"rows of {asset}"] += changed
        if not purged.dry:
            _commit_rows(store, asset, batch, left, committed, episodes)


def _commit_rows(
    store: Store, asset: str, batch: str, rows: pl.DataFrame, committed: CommittedTable, episodes: Collection[str]
) -> None:
    others = ~pl.col("episode_id").is_in(list(episodes))
    commit(store, asset, batch, rows, committed.provenance.filter(others), committed.failures.filter(others))


def _episode_files(store: Store, batch: str, episodes: Collection[str]) -> Iterator[str]:
    """Keys of the files that belong to a single episode."""
    for folder in PER_EPISODE:
        for name in sorted(store.names(f"{folder}/{batch}")):
            if name.split(".", 1)[0] in episodes:
                yield f"{folder}/{batch}/{name}"
    for stage in sorted(store.names("checkpoints")):
        for name in sorted(store.names(f"checkpoints/{stage}/{batch}")):
            match = _CHECKPOINT.fullmatch(name)
            if match and match["episode"] in episodes:
                yield f"checkpoints/{stage}/{batch}/{name}"


def _filter_table(store: Store, key: str, columns: Columns, keep: pl.Expr, purged: PurgeResult) -> pl.DataFrame | None:
    """Remove rows from a derived table and return them; None if there is no table, or it is unreadable and removed as a whole."""
    try:
        found = store.read_noted_table(key, columns)
    except DamagedTable:
        found = None
    if found is None:
        if store.exists(key):  # damaged or of another version: its content is unknown, and it can be computed again
            log.warning("%s cannot be read by this version: a takedown removes all of it", key)
            purged.remove(store, key)
        return None
    rows, notes = found
    left = rows.filter(keep)
    if left.height < rows.height:
        purged.counts[f"rows under {key.split('/', 1)[0]}/"] += rows.height - left.height
        if not purged.dry:
            store.write_table(key, left, {k: v for k, v in notes.items() if not k.startswith("ARROW")})
    return rows.filter(~keep)
