"""Counts of batches, from their committed tables.

Many batches are counted at once: each operation of polars costs the same for the rows of one as for those of a thousand.
"""

import datetime
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from podcast_assets.stages.batch_state import batch_state
from podcast_assets.stages.failure_reasons import failure_reason
from podcast_assets.store.commits import CommittedTable
from podcast_assets.store.schema import FAILURES, PROVENANCE, RAW_AUDIO, TRANSCRIPTS, Columns, schema
from podcast_assets.store.schema_beside import STATISTICS
from podcast_assets.store.stage_names import STAGES, TABLE_STAGES

COLUMNS = {
    "raw_audio": "episode_id source status error podcast podcast_id language bytes duration".split(),
    "transcripts": "episode_id language".split(),
}
"""Asset → columns that are counted; of the other assets only the provenance and the failures are."""
REASONS = 20
"""Distinct reasons of a batch that are counted apart; the rest are counted as OTHER_REASONS."""
OTHER_REASONS = "other reasons"
UNPACK = "unpack"
"""Stage of the failures of files that could not be taken from their batch."""

_KEY = ("batch", "episode_id")


@dataclass(frozen=True)
class BatchTables:
    """What is counted of a batch."""

    batch: str
    version: str
    """Version of its tables."""
    committed_at: float
    """POSIX seconds; the time of files that were neither finished nor failed in a stage."""
    tables: Mapping[str, CommittedTable]
    """Asset → its committed table with the columns of COLUMNS."""
    discarded: Collection[str] = ()
    """Ids of the episodes that people discarded."""

    @property
    def complete(self) -> bool:
        """Whether all required tables are committed."""
        return all(self.tables[asset].table is not None for asset in STAGES)

    @property
    def hour(self) -> datetime.datetime:
        """Hour of the newest table."""
        moment = datetime.datetime.fromtimestamp(self.committed_at, datetime.UTC)
        return moment.replace(minute=0, second=0, microsecond=0)


def count_batches(batches: Sequence[BatchTables]) -> pl.DataFrame:
    """Count batches.

    Returns:
        Rows with the columns STATISTICS, sorted by batch.
    """
    states = pl.DataFrame(
        {
            "batch": [b.batch for b in batches],
            "version": [b.version for b in batches],
            "complete": [b.complete for b in batches],
            "default_hour": pl.Series([b.hour for b in batches], dtype=pl.Datetime("us", "UTC")),
        }
    )
    episodes, failures = _count_episodes(batches, states), _count_failures(batches)
    done, failed = (
        set(found["batch"]) for found in (episodes.filter(status="done"), _failed_batches(batches, episodes))
    )
    statuses = [batch_state(done=b.batch in done, failed=b.batch in failed) if b.complete else "begun" for b in batches]
    counted = {
        "batch": states.with_columns(status=pl.Series(statuses, dtype=pl.String)),
        "episodes": episodes,
        "work": _count_work(batches),
        "failures": failures,
    }
    rows = pl.concat(_with_all_columns(frame.with_columns(kind=pl.lit(kind))) for kind, frame in counted.items())
    return rows.sort("batch", maintain_order=True)


def _with_all_columns(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(
        (pl.col(name) if name in frame.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in schema(STATISTICS).items()
    )


def _stack(frames: Iterable[tuple[Mapping[str, str], pl.DataFrame]], columns: Columns, *names: str) -> pl.DataFrame:
    """Stack frames, each with constant columns before its own; `names` are the constants', for a stack without frames."""
    empty = pl.DataFrame(schema=dict.fromkeys(names, pl.String) | dict(schema(columns)))
    stacked = [empty]
    for constants, frame in frames:
        parts = [pl.Series(name, [value] * frame.height, pl.String) for name, value in constants.items()]
        stacked.append(pl.DataFrame([*parts, *frame.get_columns()]))
    return pl.concat(stacked)


def _count_episodes(batches: Sequence[BatchTables], states: pl.DataFrame) -> pl.DataFrame:
    """Count episodes by status, language, podcast and the hour in which the last stage finished or failed."""
    audio, spoken = (
        _stack(
            (({"batch": b.batch}, table) for b in batches if (table := b.tables[asset].table) is not None),
            {name: columns[name] for name in COLUMNS[asset]},
            "batch",
        )
        for asset, columns in (("raw_audio", RAW_AUDIO), ("transcripts", TRANSCRIPTS))
    )
    required = [({"batch": b.batch}, b.tables[asset]) for b in batches for asset in STAGES]
    finished = _stack(((c, t.provenance) for c, t in required if t.provenance.height), PROVENANCE, "batch")
    failed = _stack(((c, t.failures) for c, t in required if t.failures.height), FAILURES, "batch")
    discarded = pl.DataFrame(
        [(b.batch, episode) for b in batches for episode in b.discarded],
        schema={"batch": pl.String, "episode_id": pl.String},
        orient="row",
    )
    status = (
        pl.when(pl.col("discarded").is_not_null())
        .then(pl.lit("discarded"))
        .when(pl.col("status") == "skipped")
        .then(pl.lit("skipped"))
        .when((pl.col("status") == "failed") | pl.col("failed_at").is_not_null())
        .then(pl.lit("failed"))
        .otherwise(pl.when("complete").then(pl.lit("done")).otherwise(pl.lit("pending")))
    )
    return (
        audio.join(states.select("batch", "default_hour", "complete"), on="batch", how="left")
        .join(discarded.with_columns(discarded=pl.lit(value=True)), on=_KEY, how="left")
        .join(finished.group_by(_KEY).agg(pl.col("finished_at").max()), on=_KEY, how="left")
        .join(failed.group_by(_KEY).agg(pl.col("failed_at").max()), on=_KEY, how="left")
        .join(
            spoken.group_by(_KEY).agg(identified=pl.col("language").drop_nulls().mode().sort().first()),
            on=_KEY,
            how="left",
        )
        .with_columns(
            status=status,
            language=pl.coalesce("identified", "language"),
            podcast=pl.coalesce("podcast", "podcast_id"),
            hour=pl.coalesce("failed_at", "finished_at", "default_hour").dt.truncate("1h"),
        )
        .group_by("batch", "status", "language", "podcast", "hour")
        .agg(episodes=pl.len(), audio_seconds=pl.col("duration").sum(), bytes=pl.col("bytes").sum())
        .sort("batch", "hour", "status", "language", "podcast")
    )


def _failed_batches(batches: Sequence[BatchTables], episodes: pl.DataFrame) -> pl.DataFrame:
    """Column `batch` with the batches in which an episode failed that is not discarded."""
    by_stage = [
        b.batch
        for b in batches
        for asset in STAGES
        if set(b.tables[asset].failures["episode_id"]).difference(b.discarded)
    ]
    listed = episodes.filter(status="failed").select("batch")
    return pl.concat([listed, pl.DataFrame({"batch": by_stage}, schema={"batch": pl.String})])


def _count_work(batches: Sequence[BatchTables]) -> pl.DataFrame:
    """Count what the stages did, by stage, engine, machine, GPU and hour, optional stages included."""
    done = _stack(
        (
            ({"batch": b.batch, "stage": stage}, b.tables[asset].provenance)
            for b in batches
            for asset, stage in TABLE_STAGES.items()
            if b.tables[asset].provenance.height
        ),
        PROVENANCE,
        "batch",
        "stage",
    )
    return (
        done.with_columns(hour=pl.col("finished_at").dt.truncate("1h"))
        .group_by("batch", "stage", "engine", "node", "gpu", "hour", maintain_order=True)
        .agg(episodes=pl.len(), audio_seconds=pl.col("audio_seconds").sum(), seconds=pl.col("seconds").sum())
    )


def _count_failures(batches: Sequence[BatchTables]) -> pl.DataFrame:
    """Count failures by stage, reason and hour, those of files that could not be taken from their batch included."""
    rows = []
    for batch in batches:
        by_reason: dict[str, Counter[tuple[str, datetime.datetime]]] = defaultdict(Counter)
        for stage, reason, time in _failures(batch):
            by_reason[reason][stage, time.replace(minute=0, second=0, microsecond=0)] += 1
        frequent = sorted(by_reason, key=lambda reason: (-by_reason[reason].total(), reason))
        for reason in frequent[REASONS:]:
            by_reason[OTHER_REASONS] += by_reason.pop(reason)
        rows += [
            (batch.batch, stage, reason, hour, count)
            for reason, counts in by_reason.items()
            for (stage, hour), count in counts.items()
        ]
    names = {n: schema(STATISTICS)[n] for n in ("batch", "stage", "reason", "hour", "episodes")}
    return pl.DataFrame(rows, schema=names, orient="row")


def _failures(batch: BatchTables) -> Iterable[tuple[str, str, datetime.datetime]]:
    """Yield the stage, the reason and the time of each failure, without those of discarded episodes."""
    listed: set[str] = set(batch.discarded)
    for asset in TABLE_STAGES:
        for row in batch.tables[asset].failures.iter_rows(named=True):
            if row["episode_id"] in batch.discarded:
                continue
            listed.add(row["episode_id"])
            yield row["stage"], failure_reason(row["error_type"], row["message"], row["source"]), row["failed_at"]
    audio = batch.tables["raw_audio"].table
    for row in () if audio is None else audio.iter_rows(named=True):
        if row["status"] == "failed" and row["episode_id"] not in listed:
            yield UNPACK, failure_reason(None, row["error"], row["source"]), batch.hour
