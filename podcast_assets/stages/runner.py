"""Run a stage over the episodes of a batch: resume, prefetch, failures, progress.

To run again is to resume: what is taken from before is decided in `resume`.
An exception of one episode becomes its failure row and takes nothing else down.
"""

import contextlib
import datetime
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from podcast_assets.common.errors import EngineUnavailable, is_device_error, is_store_trouble
from podcast_assets.engines.engine import Engine
from podcast_assets.stages.compute.base import Compute, Outcome
from podcast_assets.stages.compute.device import DEVICE_ERRORS, BrokenDevice
from podcast_assets.stages.compute.stream import NoProgress, outcomes
from podcast_assets.stages.progress import Progress, Report
from podcast_assets.stages.results import StageRun
from podcast_assets.stages.resume import decide, failure_row
from podcast_assets.stages.stage import Episode, Stage, engine_for, made_with, stage_fingerprint
from podcast_assets.store.commits import Checkpoints, CommittedTable
from podcast_assets.store.schema import FAILURES, PROVENANCE, Columns, empty_table, make_table, schema
from podcast_assets.store.store import Store

log = logging.getLogger(__name__)


class NothingDone(RuntimeError):
    """Every episode of a batch failed, and none because of its data: the trouble is elsewhere, and nothing is committed."""


@dataclass
class _Batch:
    """A stage's work on a batch: what is known of each episode so far."""

    stage: Stage
    name: str
    store: Store
    checkpoints: Checkpoints
    committed: CommittedTable
    fingerprints: dict[str, str]
    provenance: dict[str, pl.DataFrame] = field(default_factory=dict)
    failures: dict[str, dict[str, Any]] = field(default_factory=dict)
    taken: dict[str, pl.DataFrame] = field(default_factory=dict)
    audio_seconds: float = 0.0


def run_stage(
    stage: Stage,
    batch: str,
    episodes: Sequence[Episode],
    store: Store,
    compute: Compute,
    *,
    committed: CommittedTable | None = None,
    report: Report = lambda progress: None,
    retry_permanent: bool = False,
    retry_fallbacks: bool = False,
) -> StageRun:
    """Do a stage's work on every episode that needs it.

    Args:
        stage: what to do.
        batch: the batch, for messages and keys.
        episodes: all episodes of the batch that this stage should have, in the batch's order.
        store: where checkpoints and earlier results lie.
        compute: where it is computed (of `computing`), shared by the batches of a run.
        committed: what the last run committed of the asset, where it was read already.
        report: called after each episode.
        retry_permanent: try again even what failed because of its data.
        retry_fallbacks: make anew what a fallback made.

    Raises:
        BrokenDevice: several episodes in a row failed as if the device were broken; what is done is kept.
        NothingDone: every episode failed, and not because of its data.
        EngineUnavailable: the engine or its model cannot be loaded here, and nothing of the batch is done without it. No episode's
            attempt is spent.
        NoProgress: the stage ended before it took any of the episodes that are left.
        OSError: the store is full or read-only.
    """
    began = time.monotonic()
    with _named(batch, stage):
        for engine in {e.model_dump_json(): e for e in (engine_for(stage, x) for x in episodes) if e}.values():
            engine.fetch()
        fingerprints = {e.episode_id: stage_fingerprint(stage, e) for e in episodes}
    work = _Batch(
        stage=stage,
        name=batch,
        store=store,
        checkpoints=Checkpoints(store, stage.name, batch, stage.columns),
        committed=CommittedTable.read(store, stage.asset, batch) if committed is None else committed,
        fingerprints=fingerprints,
    )
    rows = _committed_rows(work.committed, stage.columns)
    by_id = {e.episode_id: e for e in episodes}
    before = decide(
        fingerprints,
        work.committed,
        checkpoints=work.checkpoints,
        has_outputs=lambda identity: all(store.exists(key) for key in stage.outputs(by_id[identity])),
        takes_committed=rows is not None,
        retry_permanent=retry_permanent,
        retry_fallbacks=retry_fallbacks,
    )
    work.provenance = before.committed | before.checkpointed
    work.failures = before.failed_for_good
    work.taken = {e: (rows or {}).get(e, empty_table(stage.columns)) for e in before.committed}
    todo = [by_id[identity] for identity in before.todo]
    if todo and len(todo) < len(episodes):
        taken = len(episodes) - len(todo)
        log.info("%s: %s takes %d of %d episodes from before", batch, stage.name, taken, len(episodes))
    if todo:
        with _named(batch, stage):
            _do(work, todo, compute, report)
    order = [e.episode_id for e in episodes]
    return StageRun(
        stage=stage,
        batch=batch,
        checkpoints=work.checkpoints,
        provenance=pl.concat([empty_table(PROVENANCE), *(work.provenance[e] for e in order if e in work.provenance)]),
        failures=make_table([work.failures[e] for e in order if e in work.failures], FAILURES),
        ran=len(todo),
        audio_seconds=work.audio_seconds,
        seconds=time.monotonic() - began,
        taken=work.taken,
    )


@contextlib.contextmanager
def _named(batch: str, stage: Stage) -> Iterator[None]:
    """Say of an error that is no episode's which batch and stage it ended, and what to do."""
    try:
        yield
    except EngineUnavailable as error:
        raise EngineUnavailable(
            f"{batch}: {stage.name}: {str(error).rstrip('.')}. No attempt is spent: `podcast-assets doctor` says what is missing "
            "here; mend that, then materialize again."
        ) from error
    except NoProgress as error:
        raise NoProgress(
            f"{batch}: {error}. What was done is kept, and no attempt is spent: mend that, then materialize again."
        ) from error


def _committed_rows(committed: CommittedTable, columns: Columns) -> dict[str, pl.DataFrame] | None:
    """Episode → its committed rows; None where the asset's table does not hold the stage's own rows."""
    if committed.table is None or not columns.keys() <= set(committed.table.columns):
        return None
    own = committed.table.select(columns.keys())
    return {str(k[0]): v for k, v in own.partition_by("episode_id", as_dict=True).items()}


def _do(work: _Batch, todo: list[Episode], compute: Compute, report: Report) -> None:
    """Do the episodes and write down what became of each."""
    began = time.monotonic()
    left = sum(e.seconds for e in todo)
    done = failed = device_errors = in_a_row = 0
    for outcome in outcomes(compute, work.stage, todo):
        made, episode = outcome.done, outcome.done.episode
        left -= episode.seconds
        if isinstance(made.rows, Exception):
            error = made.rows
            if is_store_trouble(error):
                raise error
            failed += 1
            broken = is_device_error(error)
            device_errors += broken
            in_a_row = in_a_row + 1 if broken else 0
            if in_a_row >= DEVICE_ERRORS or device_errors == len(todo):
                raise _broken(work, in_a_row, error) from error
            work.failures[episode.episode_id] = _failure(work, outcome, error)
        else:
            in_a_row = 0
            done += 1
            _keep(work, outcome, made.rows)
        elapsed = time.monotonic() - began
        report(
            Progress(
                work.stage.name, work.name, episode.source, done, failed, len(todo), work.audio_seconds, left, elapsed
            )
        )
    if work.provenance:
        return
    failed = [work.failures[e.episode_id] for e in todo]
    for failure in failed:
        if failure["error_type"] == EngineUnavailable.__name__:
            raise EngineUnavailable(failure["message"])
    if len(failed) > 1 and not any(f["permanent"] for f in failed):
        last = failed[-1]
        raise NothingDone(
            f"{work.name}: {work.stage.name}: all {len(todo)} episodes failed, and not because of their data; nothing is "
            f"committed. The last, {last['source']}, with {last['error_type']}: {last['message']}. Mend that, then "
            "materialize again."
        )


def _keep(work: _Batch, outcome: Outcome, rows: pl.DataFrame) -> None:
    """Write the checkpoint of an episode that is done."""
    done, stage = outcome.done, work.stage
    episode = done.episode
    engine = engine_for(stage, episode)
    length = episode.seconds or _length(rows)
    work.audio_seconds += length
    fingerprint = work.fingerprints[episode.episode_id]
    provenance = {
        "episode_id": episode.episode_id,
        "source": episode.source,
        "fingerprint": fingerprint,
        "rows": rows.height,
        "engine": _made_by(engine, rows),
        "fallback": done.fallback,
        "made_with": made_with(stage, engine),
        "node": outcome.place.node,
        "gpu": outcome.place.gpu,
        "worker": outcome.place.worker,
        "audio_seconds": length,
        "seconds": round(outcome.seconds, 3),
        "finished_at": _now(),
    }
    if done.fallback:
        log.warning(
            "%s: %s: %s: %s", work.name, stage.name, episode.source, done.fallback, extra={"episode": episode.source}
        )
    work.checkpoints.write(episode.episode_id, fingerprint, _stamp(stage, engine, fingerprint, rows), provenance)
    work.provenance[episode.episode_id] = make_table([provenance], PROVENANCE)


def _made_by(engine: Engine | None, rows: pl.DataFrame) -> str | None:
    """The engines that the rows name, where the one of the stage is composed of several."""
    named = rows["engine"].drop_nulls().unique().sort() if "engine" in rows.columns else []
    return ", ".join(named) or (engine.name if engine else None)


def _length(rows: pl.DataFrame) -> float:
    """Length of an episode that was not known before its stage, s: that of `ingest`, which finds it out."""
    return float(rows["duration"].sum()) if "duration" in rows.columns else 0.0


def _stamp(stage: Stage, engine: Engine | None, fingerprint: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Add to an episode's rows what made them, and bring them into the order of the stage's columns."""
    made_by = {
        "engine": pl.lit(engine.name if engine else None, pl.String),
        "degraded": pl.lit(engine is not None and engine.embedded),
        "fingerprint": pl.lit(fingerprint),
    }
    missing = {k: v for k, v in made_by.items() if k in stage.columns and k not in rows.columns}
    return rows.with_columns(**missing).select(
        pl.col(name).cast(dtype) for name, dtype in schema(stage.columns).items()
    )


def _broken(work: _Batch, count: int, error: Exception) -> BrokenDevice:
    episodes = "1 episode" if count == 1 else f"{count} episodes"
    return BrokenDevice(
        f"{work.name}: {work.stage.name}: {episodes} in a row failed as if the device were broken, the last with: "
        f"{error}. Nothing is lost: look at the device, then materialize again."
    )


def _failure(work: _Batch, outcome: Outcome, error: Exception) -> dict[str, Any]:
    episode = outcome.done.episode
    failure = failure_row(
        work.committed,
        error,
        episode_id=episode.episode_id,
        source=episode.source,
        stage=work.stage.name,
        fingerprint=work.fingerprints[episode.episode_id],
        trace=outcome.traceback,
    )
    log.warning(
        "%s: %s: %s failed: %s",
        work.name,
        work.stage.name,
        episode.source,
        failure["message"],
        extra={"episode": episode.source},
    )
    return failure


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
