"""Process single episodes again, with the same engines or with others, which stay theirs in later runs."""

import datetime
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import polars as pl

from podcast_assets.common.errors import BadInput
from podcast_assets.intake.episode_lookup import find_episode
from podcast_assets.rights.store_clearance import read_episodes
from podcast_assets.store.commits import CommittedTable, commit
from podcast_assets.store.discard_records import read_batch_discards
from podcast_assets.store.episode_records import Record
from podcast_assets.store.override_records import CHOICES, OVERRIDE_RECORDS
from podcast_assets.store.stage_names import TABLE_STAGES
from podcast_assets.store.store import Store, checkpoints_key

_IN_ORDER = ("raw_audio", "diarized_segments", "transcripts", "second_opinions", "punctuated_texts", "quality_scores")
_SHARDS = ("hf_shards", "episode_shards")


def find_processable(store: Store, names: Sequence[str]) -> list[dict[str, Any]]:
    """Find the episodes with these names, rows of `raw_audio` with their `batch`.

    Raises:
        BadInput: a name is unknown or ambiguous, or that of something that is not processed.
    """
    known = read_episodes(store, store.table_names("tables/raw_audio"))
    hint = "`podcast-assets episodes --limit 0` lists episodes, which are known once `raw_audio` of their batch is materialized"
    rows = [find_episode(name, known, f"{name!r} is no episode that the store knows; {hint}") for name in names]
    for row in rows:
        place = f"{row['batch']}/{row['episode_id']}"
        if row["episode_id"] in read_batch_discards(store, row["batch"]):
            raise BadInput(f"{place} is discarded: `podcast-assets discard --undo {place}` takes it back in first")
        if row["status"] == "skipped":
            raise BadInput(f"{place} ({row['source']}) is skipped: {row['error']}")
    return rows


def find_overridden(store: Store, names: Sequence[str]) -> list[Record]:
    """Find the override records of the episodes with these names.

    Raises:
        BadInput: a name is not that of one episode with a record.
    """
    records = OVERRIDE_RECORDS.read_all(store)
    hint = "`podcast-assets process --list` lists all"
    return [find_episode(n, records, f"nothing was chosen for an episode called {n!r}; {hint}") for n in names]


def choose_for_episode(
    store: Store, row: Mapping[str, Any], choices: Mapping[str, Any], at: datetime.datetime
) -> Record | None:
    """Write the override record of an episode; choices that are not named stay as they were.

    Args:
        store: the store.
        row: row of the episode with `batch`, `episode_id` and `source`.
        choices: columns of CHOICES; None for the usual.
        at: when it was chosen.

    Returns:
        The record; None if nothing is chosen any more, and the record is gone.
    """
    batch, episode = row["batch"], row["episode_id"]
    before = OVERRIDE_RECORDS.read_batch(store, batch).get(episode, dict.fromkeys(CHOICES))
    chosen = {name: choices.get(name, before[name]) for name in CHOICES}
    if not any(chosen.values()):
        OVERRIDE_RECORDS.remove(store, batch, episode)
        return None
    record = {"batch": batch, "episode_id": episode, "source": row["source"], **chosen, "at": at}
    OVERRIDE_RECORDS.write(store, record)
    return record


def assets_from(stage: str) -> tuple[str, ...]:
    """Assets that a stage and all later ones make. Those of shards follow the content: only `package` itself names them."""
    own = next(asset for asset, name in TABLE_STAGES.items() if name == stage)
    return _SHARDS if own in _SHARDS else _IN_ORDER[_IN_ORDER.index(own) :]


def forget_results(store: Store, batch: str, episodes: Collection[str], assets: Collection[str]) -> None:
    """Let the next run process episodes again. Their rows stay in the tables until then, so that no dataset loses them meanwhile.

    The caller holds the batch's lock. Failures are forgotten too, also those caused by the data.
    """
    others = ~pl.col("episode_id").is_in(list(episodes))
    for asset in assets:
        committed = CommittedTable.read(store, asset, batch)
        if committed.table is not None and {*committed.fingerprints, *committed.failed} & set(episodes):
            provenance, failures = committed.provenance.filter(others), committed.failures.filter(others)
            commit(store, asset, batch, committed.table, provenance, failures, committed.warnings)
        folder = checkpoints_key(TABLE_STAGES[asset], batch)
        for name in store.names(folder):
            if any(name.startswith(f"{episode}-") for episode in episodes):
                store.remove(f"{folder}/{name}")
