"""Rows of batches, episodes and failures in the store, for the commands that list them. Read-only."""

import datetime
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import polars as pl

from podcast_assets.intake.arrivals import Arrival, Incoming, list_incoming
from podcast_assets.stages.batch_state import batch_state
from podcast_assets.stages.batch_warnings import episodes_without_speech
from podcast_assets.stages.report import identified_languages, stage_failures
from podcast_assets.stages.selection import Selection, sort_rows
from podcast_assets.store.commits import CommittedTable
from podcast_assets.store.discard_records import read_batch_discards
from podcast_assets.store.override_records import OVERRIDE_RECORDS, describe_override
from podcast_assets.store.schema import ASSETS, FAILURES, RAW_AUDIO, empty_table
from podcast_assets.store.stage_names import STAGES, TABLE_STAGES
from podcast_assets.store.store import STORE_READERS, Store, table_key

_EPISODE_COLUMNS = (
    *"episode_id source status error title podcast podcast_id language duration bytes codec sha256".split(),
    *"duplicate_of also_in".split(),
)
_EVERYTHING = Selection()
UNPACK = "unpack"
"""Stage of the failures of files that could not be extracted from their batch."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class BatchRow:
    """A batch and its progress."""

    batch: str
    state: str
    """arrived, begun, busy (in a queued or active run), or of a batch of which every stage is committed: done (at least one
    episode is; one without speech counts), failed (no episode is done, and some failed) or empty (there is none)."""
    stages: list[str]
    """Stages with a committed table."""
    arrived: str | None
    """When its files under incoming/ last changed, ISO 8601; None if they are gone."""
    files: int
    """Number of files under incoming/."""
    bytes: int
    """Size of these files."""
    done: int
    failed: int
    skipped: int
    discarded: int
    """Episodes that people discarded; they are not counted as done, failed or skipped."""
    failures: int
    """Episodes that failed in any stage."""
    hours: float
    """Audio of the episodes that are done."""
    languages: list[str | None]
    """Languages of its episodes, identified or else declared; None for one that is unknown."""
    podcasts: list[str]
    """Titles of its podcasts."""
    podcast_ids: list[str]
    """Guids of its podcasts."""


def batch_names(store: Store, incoming: Incoming | None = None) -> list[str]:
    """All batches that are under incoming/ or have a table, sorted.

    Args:
        store: store of the batches.
        incoming: listing of incoming/, if there is one already.
    """
    arrivals = (incoming or list_incoming(store)).arrivals
    return sorted({*arrivals, *(b for names in _committed_batches(store).values() for b in names)})


def batch_rows(
    store: Store,
    names: Collection[str] | None = None,
    *,
    incoming: Incoming | None = None,
    busy: Collection[str] = (),
    limit: int | None = None,
    selection: Selection = _EVERYTHING,
    sort: str = "arrived",
    reverse: bool = False,
) -> list[BatchRow]:
    """List batches, newest first.

    Args:
        store: store of the batches.
        names: only these; None for all.
        incoming: listing of incoming/, if there is one already.
        busy: batches in queued or active runs.
        limit: maximum number of rows; None for all.
        selection: which batches to list.
        sort: one of `selection.BATCH_SORTS`.
        reverse: the other way round.
    """
    arrivals, committed = (incoming or list_incoming(store)).arrivals, _committed_batches(store)
    known = {*arrivals, *(b for tables in committed.values() for b in tables)}
    chosen = sorted(known if names is None else known.intersection(names))
    chosen.sort(key=lambda b: _last_modified(arrivals.get(b)), reverse=not reverse)
    if selection.since or selection.until:
        times = _arrival_times(store, arrivals)
        chosen = [b for b in chosen if selection.takes_time(times.get(b))]
    by_arrival = sort == "arrived"
    # in their usual order and without conditions on their content, only the batches that are shown are read
    rows = _map_concurrently(
        chosen[:limit] if by_arrival and not selection.needs_content else chosen,
        lambda b: _batch_row(store, b, arrivals.get(b), [a for a in ASSETS if b in committed[a]], b in busy),
    )
    taken = {row.batch: row for row in rows if selection.takes_batch(asdict(row))}
    if not by_arrival:
        taken = {
            r["batch"]: taken[r["batch"]] for r in sort_rows([asdict(r) for r in taken.values()], sort, reverse=reverse)
        }
    return list(taken.values())[:limit]


def episode_rows(
    store: Store,
    batches: Iterable[str],
    selection: Selection = _EVERYTHING,
    *,
    sort: str = "batch",
    reverse: bool = False,
) -> list[dict[str, Any]]:
    """List the episodes of batches.

    The status is `failed`, with the error, if any stage failed; `pending` if a stage has not processed it yet; and `discarded` if
    it was discarded: the value of `discarded` says when and why. An episode without speech is done; its `no_speech` is true. The
    `language` is the identified one, or else that of `declared_language`. `override` says what `podcast-assets process` chose for
    the episode.

    Args:
        store: store of the batches.
        batches: their names.
        selection: which episodes to list.
        sort: one of `selection.EPISODE_SORTS`.
        reverse: the other way round.
    """
    times = _arrival_times(store, list_incoming(store).arrivals)
    names = [b for b in batches if selection.takes_time(times.get(b))]
    found = _map_concurrently(names, lambda b: _read_episodes(store, b, times.get(b)))
    rows = [row for rows in found for row in rows if selection.takes_episode(row)]
    return sort_rows(rows, sort, reverse=reverse)


def failure_rows(store: Store, batches: Iterable[str], *, stage: str | None = None) -> list[dict[str, Any]]:
    """List the failures of batches in the order of the stages. Files that could not be extracted have the stage `unpack`.

    Failures of optional stages, which fail no episode, come last. Those of discarded episodes are left out.
    """
    of_batches = _map_concurrently(list(batches), lambda b: _read_failures(store, b, TABLE_STAGES))
    return [row for rows in of_batches for row in rows if stage is None or row["stage"] == stage]


def _map_concurrently(items: Sequence[Item], read: Callable[[Item], Result]) -> list[Result]:
    with ThreadPoolExecutor(STORE_READERS) as readers:
        return list(readers.map(read, items))


def _committed_batches(store: Store) -> dict[str, set[str]]:
    """Asset → batches with its table."""
    return {asset: set(store.table_names(f"tables/{asset}")) for asset in ASSETS}


def _last_modified(arrival: Arrival | None) -> float:
    return max((f.modified for f in arrival.files), default=0.0) if arrival else 0.0


def _arrival_times(store: Store, arrivals: Mapping[str, Arrival]) -> dict[str, str]:
    """When each batch arrived, ISO 8601: the last change of its files, or of its first table if they are gone."""
    tables = {f.key.rpartition("/")[2]: f.modified for f in store.list_folder("tables/raw_audio").files}
    ingested = {name.removesuffix(".parquet"): time for name, time in tables.items() if name.endswith(".parquet")}
    times = ingested | {batch: _last_modified(arrival) for batch, arrival in arrivals.items()}
    return {batch: _iso_time(time) for batch, time in times.items() if time}


def _iso_time(time: float) -> str:
    return datetime.datetime.fromtimestamp(time, datetime.UTC).isoformat(timespec="seconds")


def _batch_row(store: Store, batch: str, arrival: Arrival | None, committed: list[str], busy: bool) -> BatchRow:
    discarded = read_batch_discards(store, batch)
    read = store.read_table(table_key("raw_audio", batch), RAW_AUDIO) if "raw_audio" in committed else None
    listed = empty_table(RAW_AUDIO) if read is None else read
    table = listed.filter(~pl.col("episode_id").is_in(list(discarded)))
    counts = dict(table["status"].value_counts().iter_rows())
    of_stages = {asset: CommittedTable.read(store, asset, batch) for asset in committed}
    failed = pl.concat([empty_table(FAILURES), *(c.failures for c in of_stages.values())])
    failures = {row["episode_id"] for row in _list_failures(batch, read, failed, discarded)}
    done = table.filter(status="done")
    state = "begun" if committed else "arrived"
    if len(committed) == len(ASSETS) and read is not None:
        state = batch_state(done=len(set(done["episode_id"]) - failures), failed=len(failures))
    modified = _last_modified(arrival)
    languages = identified_languages(of_stages["transcripts"].table if "transcripts" in of_stages else None)
    return BatchRow(
        batch=batch,
        state="busy" if busy else state,
        stages=[STAGES[a] for a in committed],
        arrived=_iso_time(modified) if modified else None,
        files=len(arrival.files) if arrival else 0,
        bytes=arrival.bytes if arrival else 0,
        done=done.height,
        failed=counts.get("failed", 0),
        skipped=counts.get("skipped", 0),
        discarded=listed.height - table.height,
        failures=len(failures),
        hours=round(float(done["duration"].sum()) / 3600, 4),
        languages=sorted(
            {languages.get(e, declared) for e, declared in done.select("episode_id", "language").iter_rows()},
            key=lambda code: code or "~",
        ),
        podcasts=sorted(set(table["podcast"].drop_nulls())),
        podcast_ids=sorted(set(table["podcast_id"].drop_nulls())),
    )


def _read_episodes(store: Store, batch: str, arrived: str | None) -> list[dict[str, Any]]:
    table = store.read_table(table_key("raw_audio", batch), RAW_AUDIO)
    if table is None:
        return []
    committed = {asset: CommittedTable.read(store, asset, batch) for asset in STAGES}
    # the last stage's message is shown
    failures = {row["episode_id"]: row for c in committed.values() for row in c.failures.iter_rows(named=True)}
    silent = episodes_without_speech(committed["diarized_segments"])
    finished = _finished_episodes(committed)
    languages = identified_languages(committed["transcripts"].table)
    discarded = read_batch_discards(store, batch)
    overrides = OVERRIDE_RECORDS.read_batch(store, batch)
    rows = []
    for row in table.select(_EPISODE_COLUMNS).iter_rows(named=True):
        identity, status, error = row["episode_id"], row["status"], row["error"]
        if failure := failures.get(identity):
            status, error = "failed", f"{failure['stage']}: {failure['message']}"
        elif status == "done" and identity not in finished:
            status = "pending"
        changes = {
            "status": "discarded" if identity in discarded else status,
            "error": error,
            "discarded": discarded.get(identity),
            "no_speech": identity in silent,
            "override": describe_override(overrides[identity]) if identity in overrides else None,
            "language": languages.get(identity, row["language"]),
            "declared_language": row["language"],
            "arrived": arrived,
        }
        rows.append({"batch": batch, **row, **changes})
    return rows


def _finished_episodes(committed: Mapping[str, CommittedTable]) -> set[str]:
    """Ids of the ingested episodes of a batch that every required stage has processed."""
    finished = set(committed["raw_audio"].rows.filter(status="done")["episode_id"])
    for asset in ("diarized_segments", "transcripts", "quality_scores", "hf_shards"):
        table = committed[asset]
        if table.table is None:
            return set()
        processed = {*table.fingerprints, *table.failed}
        if asset == "hf_shards":  # holds only what has segments
            processed |= finished.difference(committed["quality_scores"].rows["episode_id"])
        finished &= processed
    return finished


def _read_failures(store: Store, batch: str, tables: Iterable[str]) -> list[dict[str, Any]]:
    table = store.read_table(table_key("raw_audio", batch), RAW_AUDIO)
    return _list_failures(batch, table, stage_failures(store, batch, tables), read_batch_discards(store, batch))


def _list_failures(
    batch: str, table: pl.DataFrame | None, failures: pl.DataFrame, discarded: Collection[str]
) -> list[dict[str, Any]]:
    """Failures of stages, and of files that could not be extracted, without those of discarded episodes."""
    failures = failures.filter(~pl.col("episode_id").is_in(list(discarded)))
    rows = [{"batch": batch, **row} for row in failures.iter_rows(named=True)]
    if table is None:
        return rows
    listed = {row["episode_id"] for row in rows}.union(discarded)
    not_extracted = table.filter((pl.col("status") == "failed") & ~pl.col("episode_id").is_in(list(listed)))
    return [
        {
            "batch": batch,
            **dict.fromkeys(failures.columns),
            **row,
            "stage": UNPACK,
            "error_type": "BadInput",
            "permanent": True,
            "attempts": 1,
        }
        for row in not_extracted.select("episode_id", "source", message="error").iter_rows(named=True)
    ] + rows
