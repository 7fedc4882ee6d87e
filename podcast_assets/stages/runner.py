"""Run a stage over the episodes of a batch: resume, prefetch, failures, progress.

To run again is to resume: an episode whose result is committed or checkpointed with the same fingerprint is taken, not made again.
An exception of one episode becomes its failure row and takes nothing else down.
"""

import datetime
import logging
import os
import socket
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from podcast_assets.errors import BadInput
from podcast_assets.schema import FAILURES, PROVENANCE, empty, table
from podcast_assets.stages.device import BrokenDevice, device_lock, looks_like_device_error
from podcast_assets.stages.prefetch import prefetched
from podcast_assets.stages.progress import Progress, Report
from podcast_assets.stages.results import Checkpoints, Committed, StageRun
from podcast_assets.stages.stage import Episode, Stage, made_with, stage_fingerprint
from podcast_assets.store import Store

DEVICE_ERRORS = 3
"""Episodes in a row with device-like errors after which the worker stops, so that a broken GPU does not fail a whole batch."""

log = logging.getLogger(__name__)


@dataclass
class _Tally:
    """What is known of each episode so far."""

    provenance: dict[str, pl.DataFrame] = field(default_factory=dict)
    failures: dict[str, dict[str, Any]] = field(default_factory=dict)
    taken: dict[str, pl.DataFrame] = field(default_factory=dict)


def run_stage(
    stage: Stage,
    batch: str,
    episodes: Sequence[Episode],
    store: Store,
    *,
    report: Report = lambda progress: None,
    prefetch: int = 2,
    retry_permanent: bool = False,
) -> StageRun:
    """Do a stage's work on every episode that needs it.

    Args:
        stage: what to do.
        batch: the batch, for messages and keys.
        episodes: all episodes of the batch that this stage should have, in the batch's order.
        store: where checkpoints and earlier results lie.
        report: called after each episode.
        prefetch: episodes prepared ahead in threads.
        retry_permanent: try again even what failed because of its data.

    Raises:
        BrokenDevice: several episodes in a row failed as if the device were broken; what is done is kept.
        EngineUnavailable: the engine or its model cannot be had here.
    """
    began = time.monotonic()
    if stage.engine is not None:
        stage.engine.fetch()
    checkpoints = Checkpoints(store, stage.name, batch, stage.columns)
    committed = Committed.read(store, stage, batch)
    tally = _Tally()
    fingerprints = {e.episode_id: stage_fingerprint(stage, e) for e in episodes}
    todo: list[Episode] = []
    for episode in episodes:
        _take(episode, fingerprints[episode.episode_id], checkpoints, committed, tally, retry_permanent)
        if episode.episode_id not in tally.provenance and episode.episode_id not in tally.failures:
            todo.append(episode)
    if todo and len(todo) < len(episodes):
        log.info(
            "%s: %s takes %d of %d episodes from before", batch, stage.name, len(episodes) - len(todo), len(episodes)
        )
    audio = 0.0
    if todo:
        with device_lock(stage.engine.device_name() if stage.engine else None):
            audio = _work(stage, batch, todo, fingerprints, checkpoints, committed, tally, report, prefetch)
    order = [e.episode_id for e in episodes]
    return StageRun(
        stage=stage,
        batch=batch,
        checkpoints=checkpoints,
        provenance=pl.concat([empty(PROVENANCE), *(tally.provenance[e] for e in order if e in tally.provenance)]),
        failures=table([tally.failures[e] for e in order if e in tally.failures], FAILURES),
        ran=len(todo),
        audio_seconds=audio,
        seconds=time.monotonic() - began,
        taken=tally.taken,
    )


def _take(
    episode: Episode,
    fingerprint: str,
    checkpoints: Checkpoints,
    committed: Committed,
    tally: _Tally,
    retry_permanent: bool,
) -> None:
    """Take an episode's result from before, if there is one."""
    if before := committed.done(episode.episode_id, fingerprint):
        rows, tally.provenance[episode.episode_id] = before
        tally.taken[episode.episode_id] = empty(checkpoints.columns) if rows is None else rows
    elif checkpoint := checkpoints.read(episode.episode_id, fingerprint):
        tally.provenance[episode.episode_id] = checkpoint[1]
    elif (
        (failure := committed.failure(episode.episode_id))
        and failure["permanent"]
        and failure["fingerprint"] == fingerprint
        and not retry_permanent
    ):
        tally.failures[episode.episode_id] = failure


def _work(
    stage: Stage,
    batch: str,
    todo: list[Episode],
    fingerprints: dict[str, str],
    checkpoints: Checkpoints,
    committed: Committed,
    tally: _Tally,
    report: Report,
    prefetch: int,
) -> float:
    """Do the episodes; gives the seconds of audio that were done."""
    began = time.monotonic()
    note = made_with(stage)
    done = failed = device_errors = 0
    audio, left = 0.0, sum(e.seconds for e in todo)
    worker = stage.load()
    for episode, prepared in prefetched(todo, stage.prepare, prefetch):
        fingerprint = fingerprints[episode.episode_id]
        started = time.monotonic()
        left -= episode.seconds
        try:
            rows = _stamp(stage, fingerprint, stage.process(worker, episode, prepared.result()))
        except Exception as error:
            device_errors = device_errors + 1 if looks_like_device_error(error) else 0
            if device_errors >= DEVICE_ERRORS:
                raise BrokenDevice(
                    f"{batch}: {stage.name}: {device_errors} episodes in a row failed as if the device were broken, "
                    f"the last with: {error}. Nothing is lost: look at the device, then materialize again."
                ) from error
            failed += 1
            tally.failures[episode.episode_id] = _failure(stage, batch, episode, fingerprint, error, committed)
        else:
            device_errors = 0
            done += 1
            audio += episode.seconds
            provenance = {
                "episode_id": episode.episode_id,
                "source": episode.source,
                "fingerprint": fingerprint,
                "rows": rows.height,
                "engine": stage.engine.name if stage.engine else None,
                "made_with": note,
                "worker": f"{socket.gethostname()}:{os.getpid()}",
                "audio_seconds": episode.seconds,
                "seconds": round(time.monotonic() - started, 3),
                "finished_at": _now(),
            }
            checkpoints.write(episode.episode_id, fingerprint, rows, provenance)
            tally.provenance[episode.episode_id] = table([provenance], PROVENANCE)
        report(
            Progress(
                stage.name,
                batch,
                episode.source,
                done,
                failed,
                len(todo),
                audio,
                left,
                time.monotonic() - began,
            )
        )
    return audio


def _stamp(stage: Stage, fingerprint: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Add to an episode's rows what made them, and bring them into the order of the stage's columns."""
    engine = stage.engine
    made_by = {
        "engine": pl.lit(engine.name if engine else None, pl.String),
        "degraded": pl.lit(engine is not None and engine.embedded),
        "fingerprint": pl.lit(fingerprint),
    }
    missing = {k: v for k, v in made_by.items() if k in stage.columns and k not in rows.columns}
    return rows.with_columns(**missing).select(pl.col(name).cast(dtype) for name, (dtype, _) in stage.columns.items())


def _failure(
    stage: Stage, batch: str, episode: Episode, fingerprint: str, error: Exception, committed: Committed
) -> dict[str, Any]:
    before = committed.failure(episode.episode_id)
    again = before is not None and before["fingerprint"] == fingerprint
    message = str(error).strip() or type(error).__name__
    log.warning("%s: %s: %s failed: %s", batch, stage.name, episode.source, message)
    return {
        "episode_id": episode.episode_id,
        "source": episode.source,
        "stage": stage.name,
        "error_type": type(error).__name__,
        "message": message,
        "traceback": "".join(traceback.format_exception(error)),
        "permanent": isinstance(error, BadInput),
        "attempts": before["attempts"] + 1 if before is not None and again else 1,
        "fingerprint": fingerprint,
        "failed_at": _now(),
    }


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
