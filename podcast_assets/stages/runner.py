"""Run a stage over the episodes of a batch: resume, compute, checkpoints, failures, progress.

To run a stage again is to resume it. An error of one episode becomes its failure row and does not affect the other episodes.
"""

import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from podcast_assets.common.errors import EngineUnavailable, is_device_error, is_store_trouble
from podcast_assets.engines.engine import Engine
from podcast_assets.stages.compute.base import Compute, EpisodeOutcome
from podcast_assets.stages.compute.device import DEVICE_ERRORS, BrokenDevice
from podcast_assets.stages.compute.stream import NoProgress, stream_with_retry
from podcast_assets.stages.failure_reasons import failure_reason
from podcast_assets.stages.progress import ProgressCounter, Report
from podcast_assets.stages.provenance import add_provenance_columns, describe_engine, provenance_row
from podcast_assets.stages.results import StageRun
from podcast_assets.stages.resume import decide, failure_row
from podcast_assets.stages.saving import save_in_threads
from podcast_assets.stages.stage import Episode, Stage, engine_for, stage_fingerprints
from podcast_assets.store.commits import Checkpoints, CommittedTable
from podcast_assets.store.schema import FAILURES, PROVENANCE, Columns, empty_table, make_table
from podcast_assets.store.store import Store

SHOWN_FAILURES = 5
"""Episodes that are named of those that fail for the same reason; the others are counted. `podcast-assets failures` lists all."""

log = logging.getLogger(__name__)


class NothingDone(RuntimeError):
    """Every episode of a batch failed, and none because of its data: the cause is elsewhere, and nothing is committed."""


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
    keep_checkpoints: bool = True,
) -> StageRun:
    """Run a stage on every episode that needs it.

    Args:
        stage: the stage to run.
        batch: the batch, for messages and keys.
        episodes: all episodes of the batch that this stage should have, in the batch's order.
        store: where checkpoints and earlier results lie.
        compute: where the stage is computed (see `computing`), shared by the batches of a run.
        committed: what the last run committed, if it was already read.
        report: called before the first and after each episode.
        retry_permanent: retry episodes that failed because of their data, too.
        retry_fallbacks: compute episodes again that a fallback engine did.
        keep_checkpoints: whether results are written as checkpoints. False for a stage that records each result in the store
            itself: all its episodes reach it, and it returns those it has recorded.

    Raises:
        BrokenDevice: several episodes in a row failed as if the device were broken; finished episodes are kept.
        NothingDone: every episode failed, and none because of its data.
        EngineUnavailable: the engine or its model cannot be loaded here, and no episode of the batch is done without it. No
            attempt is counted.
        NoProgress: the stage ended before it took any of the remaining episodes.
        OSError: the store is full or read-only.
    """
    began = time.monotonic()
    with _explain_errors(batch, stage):
        work = _open_batch(stage, batch, episodes, store, committed, keep_checkpoints=keep_checkpoints)
        todo = _resume(work, retry_permanent=retry_permanent, retry_fallbacks=retry_fallbacks)
        counter = ProgressCounter(stage.name, batch, todo)
        device = _DeviceWatch(stage, batch, len(todo))
        if todo:
            report(counter.begun())
            with (  # an error ends their threads
                contextlib.closing(stream_with_retry(compute, stage, todo)) as outcomes,
                contextlib.closing(save_in_threads(_record(work, device, outcomes))) as recorded,
            ):
                for outcome in recorded:
                    episode, rows = outcome.result.episode, outcome.result.rows
                    if isinstance(rows, Exception):
                        report(counter.failed(episode, outcome.place))
                    else:
                        report(counter.done(episode, rows, outcome.place))
            _log_more_failures(work)
            _require_any_result(work)
    return work.result(ran=len(todo), audio_seconds=counter.audio_seconds, seconds=time.monotonic() - began)


@contextlib.contextmanager
def _explain_errors(batch: str, stage: Stage) -> Iterator[None]:
    """Add batch, stage and what to do to the message of an error that concerns no single episode."""
    try:
        yield
    except EngineUnavailable as error:
        raise EngineUnavailable(
            f"{batch}: {stage.name}: {str(error).rstrip('.')}. No attempt was counted: `podcast-assets doctor` shows what is "
            "missing here; fix it, then materialize again."
        ) from error
    except NoProgress as error:
        raise NoProgress(
            f"{batch}: {error}. Finished episodes are kept, and no attempt was counted: fix the cause, then materialize again."
        ) from error


@dataclass
class _BatchWork:
    """A stage's work on a batch, with what is known of each episode so far."""

    stage: Stage
    batch: str
    store: Store
    episodes: dict[str, Episode]
    """By id, in the batch's order."""
    fingerprints: dict[str, str]
    committed: CommittedTable
    checkpoints: Checkpoints | None
    provenance: dict[str, pl.DataFrame] = field(default_factory=dict)
    """Of the episodes that are done."""
    failures: dict[str, dict[str, Any]] = field(default_factory=dict)
    rows: dict[str, pl.DataFrame] = field(default_factory=dict)
    """Of the episodes that are done, except those done by an earlier run that did not commit them: they are in checkpoints."""

    reasons: Counter[str] = field(default_factory=Counter)
    """Reason → number of episodes that failed for it in this run."""
    made_with: dict[Engine | None, str] = field(default_factory=dict)
    """Engine → its description for the provenance."""

    def result(self, *, ran: int, audio_seconds: float, seconds: float) -> StageRun:
        """What the stage made of the batch, in the batch's order."""
        provenance = [self.provenance[e] for e in self.episodes if e in self.provenance]
        failures = [self.failures[e] for e in self.episodes if e in self.failures]
        return StageRun(
            stage=self.stage,
            batch=self.batch,
            checkpoints=self.checkpoints,
            provenance=pl.concat([empty_table(PROVENANCE), *provenance]),
            failures=make_table(failures, FAILURES),
            ran=ran,
            audio_seconds=audio_seconds,
            seconds=seconds,
            rows_in_memory=self.rows,
        )


def _open_batch(
    stage: Stage,
    batch: str,
    episodes: Sequence[Episode],
    store: Store,
    committed: CommittedTable | None,
    *,
    keep_checkpoints: bool,
) -> _BatchWork:
    """Fetch the models that the episodes need, and read what the last run committed unless it is given.

    Raises:
        EngineUnavailable: no episode can get its models. Where some can, the worker refuses the others.
    """
    needed = dict.fromkeys(e for e in (engine_for(stage, x) for x in episodes) if e)
    problems: list[EngineUnavailable] = []
    for engine in needed:
        try:
            engine.fetch()
        except EngineUnavailable as error:
            problems.append(error)
    if problems and len(problems) == len(needed):
        raise problems[0]
    return _BatchWork(
        stage=stage,
        batch=batch,
        store=store,
        episodes={e.episode_id: e for e in episodes},
        fingerprints=stage_fingerprints(stage, episodes),
        committed=CommittedTable.read(store, stage.asset, batch) if committed is None else committed,
        checkpoints=Checkpoints(store, stage.name, batch, stage.columns) if keep_checkpoints else None,
    )


def _resume(work: _BatchWork, *, retry_permanent: bool, retry_fallbacks: bool) -> list[Episode]:
    """Take earlier results and permanent failures, and return the remaining episodes."""
    stage, store = work.stage, work.store
    committed_rows = _committed_rows(work.committed, stage.columns)
    before = decide(
        work.fingerprints,
        work.committed,
        checkpoints=work.checkpoints,
        has_outputs=lambda e: all(store.exists(key) for key in stage.outputs(work.episodes[e])),
        takes_committed=committed_rows is not None,
        retry_permanent=retry_permanent,
        retry_fallbacks=retry_fallbacks,
    )
    work.provenance = before.committed | before.checkpointed
    work.failures = before.failed_permanently
    work.rows = {e: (committed_rows or {}).get(e, empty_table(stage.columns)) for e in before.committed}
    taken = len(work.episodes) - len(before.todo)
    again = [e for e in before.todo if work.committed.fingerprints.get(e) not in (None, work.fingerprints[e])]
    if again:
        log.warning(
            "%s: %s processes %d finished episodes again (%.1f h): its version, its engine, a setting or what it "
            "depends on has changed",
            work.batch,
            stage.name,
            len(again),
            sum(work.episodes[e].seconds for e in again) / 3600,
        )
    if before.todo and taken:
        log.info("%s: %s takes %d of %d episodes from before", work.batch, stage.name, taken, len(work.episodes))
    return [work.episodes[e] for e in before.todo]


def _committed_rows(committed: CommittedTable, columns: Columns) -> dict[str, pl.DataFrame] | None:
    """Episode → its committed rows; None where the asset's table does not hold the stage's own rows."""
    if committed.table is None or not columns.keys() <= set(committed.table.columns):
        return None
    own = committed.table.select(columns.keys())
    return {str(k[0]): v for k, v in own.partition_by("episode_id", as_dict=True).items()}


@dataclass
class _DeviceWatch:
    """Stops a stage when its errors look like those of a broken device, so that one GPU does not fail a whole batch."""

    stage: Stage
    batch: str
    episodes: int
    """Episodes to do in this run."""
    errors: int = 0
    in_a_row: int = 0

    def check(self, error: Exception) -> None:
        """Look at the error of an episode.

        Raises:
            BrokenDevice: several in a row look like those of a broken device, or all of the run do.
        """
        # without an engine nothing computes on a device, and a link may well have "cuda" in its name
        if self.stage.engine is None or not is_device_error(error):
            self.in_a_row = 0
            return
        self.errors += 1
        self.in_a_row += 1
        if self.in_a_row >= DEVICE_ERRORS or self.errors == self.episodes:
            count = "1 episode" if self.in_a_row == 1 else f"{self.in_a_row} episodes"
            raise BrokenDevice(
                f"{self.batch}: {self.stage.name}: {count} in a row failed as if the device were broken, the last "
                f"with: {error}. Finished episodes are kept: check the device, then materialize again."
            ) from error

    def passed(self) -> None:
        """An episode is done: the device works."""
        self.in_a_row = 0


def _record(
    work: _BatchWork, device: _DeviceWatch, outcomes: Iterable[EpisodeOutcome]
) -> Iterator[tuple[EpisodeOutcome, Callable[[], None] | None]]:
    """Keep each outcome, and yield it with the function that writes its checkpoint; None where there is none to write.

    Raises:
        BrokenDevice: several in a row failed as if the device were broken.
        OSError: the store is full or read-only.
    """
    for outcome in outcomes:
        if isinstance(rows := outcome.result.rows, Exception):
            device.check(rows)
            _record_failure(work, outcome, rows)
            yield outcome, None
        else:
            device.passed()
            yield outcome, _record_result(work, outcome, rows)


def _record_failure(work: _BatchWork, outcome: EpisodeOutcome, error: Exception) -> None:
    """Keep the failure row of an episode.

    Raises:
        OSError: the store is full or read-only, which concerns every episode.
    """
    if is_store_trouble(error):
        raise error
    episode = outcome.result.episode
    failure = failure_row(
        work.committed,
        error,
        episode_id=episode.episode_id,
        source=episode.source,
        stage=work.stage.name,
        fingerprint=work.fingerprints[episode.episode_id],
        trace=outcome.traceback,
    )
    work.failures[episode.episode_id] = failure
    log.debug("%s: %s: %s\n%s", work.batch, work.stage.name, episode.source, failure["traceback"])
    reason = failure_reason(failure["error_type"], failure["message"], episode.source)
    work.reasons[reason] += 1
    log.log(
        logging.WARNING if work.reasons[reason] <= SHOWN_FAILURES else logging.DEBUG,
        "%s: %s: %s failed: %s",
        work.batch,
        work.stage.name,
        episode.source,
        failure["message"],
        extra={"episode": episode.source},
    )


def _record_result(work: _BatchWork, outcome: EpisodeOutcome, rows: pl.DataFrame) -> Callable[[], None] | None:
    """Keep the rows of an episode, and return the function that writes its checkpoint; None for a stage without checkpoints."""
    stage, episode, fallback = work.stage, outcome.result.episode, outcome.result.fallback
    fingerprint = work.fingerprints[episode.episode_id]
    engine = engine_for(stage, episode)
    if engine not in work.made_with:
        work.made_with[engine] = describe_engine(stage, engine)
    row = provenance_row(stage, outcome, rows, fingerprint, work.made_with[engine])
    provenance = make_table([row], PROVENANCE)
    rows = add_provenance_columns(stage, episode, rows, fingerprint)
    log.debug(
        "%s: %s: %s took %.2f s at %s, %d rows",
        work.batch,
        stage.name,
        episode.source,
        outcome.seconds,
        outcome.place.worker,
        rows.height,
    )
    if fallback:
        log.warning(
            "%s: %s: %s: %s", work.batch, stage.name, episode.source, fallback, extra={"episode": episode.source}
        )
    work.rows[episode.episode_id] = rows
    work.provenance[episode.episode_id] = provenance
    if (checkpoints := work.checkpoints) is None:
        return None
    return lambda: checkpoints.write(episode.episode_id, fingerprint, rows, provenance)


def _log_more_failures(work: _BatchWork) -> None:
    """Log how many episodes failed for the reasons of those that were named."""
    for reason, count in work.reasons.most_common():
        if (more := count - SHOWN_FAILURES) > 0:
            log.warning("%s: %s: %s more failed alike: %s", work.batch, work.stage.name, f"{more:,}", reason)


def _require_any_result(work: _BatchWork) -> None:
    """Raise an error if every episode failed for a reason other than its data.

    Raises:
        EngineUnavailable: an engine is missing, and no episode is done without it.
        NothingDone: several episodes failed, none of them because of its data.
    """
    failures = list(work.failures.values())
    if work.provenance:
        return
    for failure in failures:
        if failure["error_type"] == EngineUnavailable.__name__:
            raise EngineUnavailable(failure["message"])
    if len(failures) > 1 and not any(failure["permanent"] for failure in failures):
        last = failures[-1]
        raise NothingDone(
            f"{work.batch}: {work.stage.name}: all {len(failures)} episodes failed, and not because of their data; nothing is "
            f"committed. The last, {last['source']}, with {last['error_type']}: {last['message']}. Fix the cause, then "
            "materialize again."
        )
