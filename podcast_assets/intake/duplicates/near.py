"""Near duplicates: the same recording in different bytes, re-encoded or with other advertisements.

Files: `audio/fingerprint/…` holds one fingerprint per working audio, by content, so that none is computed twice;
`fingerprints/<batch>.parquet` holds a batch's anchors, the few items by which others find it; `near_duplicates/<batch>.parquet`
holds the pairs. Each run writes only the files of its own batch, and its anchors before it searches, so of two concurrent runs
at least one sees the other. A search reads the anchors of all batches, 3 kB per hour of audio, and the fingerprints of the few
episodes that share some of them.
"""

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from podcast_assets.audio.errors import AudioError
from podcast_assets.audio.working import WORKING_RATE, read_working_audio_blocks
from podcast_assets.intake.duplicates.chromaprint import Items, anchor_positions, compare_fingerprints, fingerprint
from podcast_assets.store.schema import Columns, make_table, schema
from podcast_assets.store.schema_beside import FINGERPRINTS, NEAR_DUPLICATES
from podcast_assets.store.store import STORE_READERS, DamagedTable, Store

MIN_SHARE = 0.5
"""Minimum share of either episode, so that an episode that is part of a longer one is found too. Shared jingles and advertisements
are far below."""
MAX_CANDIDATES = 20
"""Maximum number of episodes to compare one with, in order of shared anchors."""
_MIN_HITS = 2
"""Minimum number of shared anchors at one distance."""
_SLACK = 4
"""Items, half a second: distances within it count as equal."""
_FINGERPRINT_THREADS = 8
"""Maximum number of fingerprints computed at once; each reads its audio from network or disk."""
_FOLDER, _FOUND = "fingerprints", "near_duplicates"

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Candidate(NamedTuple):
    """A pair of episodes that may be the same recording."""

    episode: str
    other: str
    """`batch/episode_id`."""
    working: str
    """Key of the other's working audio."""


@dataclass(frozen=True)
class NearDuplicates:
    """Result of a search for near duplicates."""

    rows: pl.DataFrame
    """Columns NEAR_DUPLICATES."""
    troubles: Sequence[str]
    """Error messages of files that could not be read; everything else was compared."""


def find_near_duplicates(store: Store, batch: str, episodes: Mapping[str, str]) -> NearDuplicates:
    """Fingerprint a batch and find the same recordings in it and in all other batches.

    Args:
        store: store with all batches.
        batch: the batch.
        episodes: episode_id → key of its working audio.

    Raises:
        Misconfigured: Chromaprint is not installed.
        StoreTrouble: the store cannot be read or written.
    """
    troubles: list[str] = []
    with ThreadPoolExecutor(min(os.cpu_count() or 1, _FINGERPRINT_THREADS)) as pool:
        results = dict(zip(episodes, pool.map(lambda key: _fingerprint_of(store, key), episodes.values()), strict=True))
    troubles += [f"{batch}: {episode}: {result}" for episode, result in results.items() if isinstance(result, str)]
    own = {episode: items for episode, items in results.items() if not isinstance(items, str)}
    anchored = _anchor_rows(own, episodes)
    store.write_table(_table_key(_FOLDER, batch), anchored)
    rows: list[dict[str, Any]] = []
    candidates = _find_candidates(store, anchored, troubles)
    for (episode, other, _), items in _read_ahead(candidates, lambda c: _read_fingerprint(store, c.working)):
        if items is None:
            troubles.append(f"{other}: its fingerprint is gone; materialize raw_audio of its batch again")
            continue
        overlap = compare_fingerprints(own[episode], items)
        if max(overlap.share, overlap.share_of_other) >= MIN_SHARE:
            rows.append({"episode_id": episode, "other": other} | asdict(overlap))
    found = make_table(rows, NEAR_DUPLICATES).sort("episode_id", "share", "other", descending=[False, True, False])
    store.write_table(_table_key(_FOUND, batch), found)
    return NearDuplicates(found, troubles)


def read_pairs(store: Store, batches: Iterable[str] | None = None) -> tuple[list[dict[str, Any]], list[str]]:
    """Read all pairs found so far, each once, by decreasing overlap; also return error messages of unreadable tables.

    Args:
        store: store with all batches.
        batches: only pairs with an episode of these batches; None for all.
    """
    wanted = None if batches is None else set(batches)
    seen: dict[tuple[str, ...], dict[str, Any]] = {}
    troubles: list[str] = []
    for batch, rows in _read_tables(store, _FOUND, NEAR_DUPLICATES, troubles):
        for row in rows.iter_rows(named=True):
            name, other = f"{batch}/{row.pop('episode_id')}", row["other"]
            if wanted is None or wanted & {batch, _batch_of(other)}:
                seen.setdefault(tuple(sorted((name, other))), {"episode": name, **row})
    # pairs with episodes that have changed or disappeared since are outdated
    others = {_batch_of(row["other"]) for row in seen.values()}
    tables = _read_tables(store, _FOLDER, FINGERPRINTS, troubles, others)
    current = {f"{batch}/{episode}" for batch, table in tables for episode in table["episode_id"]}
    found = [row for row in seen.values() if row["other"] in current]
    return sorted(found, key=lambda r: (-max(r["share"], r["share_of_other"]), r["episode"], r["other"])), troubles


def fingerprint_key(working: str) -> str:
    """Key of the fingerprint of some working audio: unsigned 32-bit integers, little-endian."""
    return f"{working.replace('audio/working/', 'audio/fingerprint/', 1).removesuffix('.flac')}.u32"


def _batch_of(episode: str) -> str:
    return episode.split("/", 1)[0]


def _table_key(folder: str, batch: str) -> str:
    return f"{folder}/{batch}.parquet"


def _fingerprint_of(store: Store, working: str) -> Items | str:
    """Read the fingerprint of working audio, or compute and store it; an error message if that fails."""
    if (items := _read_fingerprint(store, working)) is not None:
        return items
    try:
        with store.open(working) as file:
            items = fingerprint(read_working_audio_blocks(file), WORKING_RATE)
    except AudioError as error:
        return f"its working audio {error}"
    except FileNotFoundError:
        return "its working audio is gone"
    store.write(fingerprint_key(working), items.astype("<u4").tobytes())
    return items


def _read_fingerprint(store: Store, working: str) -> Items | None:
    try:
        data = store.read(fingerprint_key(working))
    except FileNotFoundError:
        return None
    return None if len(data) % 4 else np.frombuffer(data, "<u4").astype(np.uint32, copy=False)


def _anchor_rows(own: Mapping[str, Items], episodes: Mapping[str, str]) -> pl.DataFrame:
    """Table of anchors, one row per episode."""
    positions: dict[str, npt.NDArray[np.intp]] = {episode: anchor_positions(items) for episode, items in own.items()}
    return pl.DataFrame(
        {
            "episode_id": list(own),
            "working": [episodes[e] for e in own],
            "anchors": [own[e][positions[e]].tolist() for e in own],
            "positions": [positions[e].tolist() for e in own],
        },
        schema=schema(FINGERPRINTS),
    )


def _find_candidates(store: Store, own: pl.DataFrame, troubles: list[str]) -> list[_Candidate]:
    """Pairs of the batch's episodes with others that may be the same recording."""
    ours = own.lazy().select("episode_id", "working", "anchors", "positions").explode("anchors", "positions")
    ours = ours.drop_nulls().collect()
    best: list[pl.DataFrame] = []
    for name, theirs in _read_tables(store, _FOLDER, FINGERPRINTS, troubles):
        hits = (
            theirs.lazy()
            .explode("anchors", "positions")
            .drop_nulls()
            .join(ours.lazy(), on="anchors", suffix="_own")
            # excludes exact duplicates, which are known already, and the episode itself
            .filter(pl.col("working") != pl.col("working_own"))
            .with_columns(distance=(pl.col("positions").cast(pl.Int64) - pl.col("positions_own")) // _SLACK)
            .group_by("episode_id_own", "episode_id", "working", "distance")
            .len()
            .filter(pl.col("len") >= _MIN_HITS)
            .group_by("episode_id_own", "episode_id", "working")
            .agg(pl.col("len").sum())
            .with_columns(other=pl.lit(f"{name}/") + pl.col("episode_id"))
            .collect()
        )
        if hits.height:
            best.append(hits)
    if not best:
        return []
    ranked = pl.concat(best).sort("episode_id_own", "len", "other", descending=[False, True, False])
    chosen = ranked.group_by("episode_id_own", maintain_order=True).head(MAX_CANDIDATES)
    return [_Candidate(*row) for row in chosen.select("episode_id_own", "other", "working").iter_rows()]


def _read_tables(
    store: Store, folder: str, columns: Columns, troubles: list[str], batches: Collection[str] | None = None
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Iterate over batches (all by default) and their tables in a folder; unreadable ones are added to `troubles`."""
    if batches is None:
        batches = store.table_names(folder)

    def read(batch: str) -> pl.DataFrame | str | None:
        try:
            return store.read_table(_table_key(folder, batch), columns)
        except DamagedTable as error:
            return str(error)

    for batch, found in _read_ahead(sorted(batches), read):
        if isinstance(found, str):
            troubles.append(f"{found}; materialize raw_audio of {batch} again")
        elif found is not None:
            yield batch, found


def _read_ahead(items: Sequence[Item], read: Callable[[Item], Result]) -> Iterator[tuple[Item, Result]]:
    """Iterate over items in order with the result of reading each; reads run concurrently, a few chunks ahead."""
    with ThreadPoolExecutor(STORE_READERS) as pool:
        for begin in range(0, len(items), 4 * STORE_READERS):
            chunk = items[begin : begin + 4 * STORE_READERS]
            yield from zip(chunk, pool.map(read, chunk), strict=True)
