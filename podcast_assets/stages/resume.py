"""Resume: which episodes have an earlier result, which failed permanently, and which have to be processed.

This is the only place that decides it: for every stage, and for the sealing of shards.
"""

import datetime
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from podcast_assets.common.errors import BadInput, EngineUnavailable
from podcast_assets.common.redaction import redact_text
from podcast_assets.stages.episode_names import without_source
from podcast_assets.store.commits import Checkpoints, CommittedTable


@dataclass(frozen=True)
class ResumeDecision:
    """What a stage knows of its episodes before it runs: each is in exactly one of these, in the given order."""

    committed: dict[str, pl.DataFrame] = field(default_factory=dict)
    """Provenance of the episodes that the asset's table holds."""
    checkpointed: dict[str, pl.DataFrame] = field(default_factory=dict)
    """Provenance of the episodes that are done but not committed yet."""
    failed_permanently: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Failures because of the data: a retry cannot help."""
    todo: list[str] = field(default_factory=list)
    """Episodes that are new, have changed, or failed in a way that a retry may resolve."""


def decide(
    fingerprints: Mapping[str, str],
    committed: CommittedTable,
    *,
    checkpoints: Checkpoints | None = None,
    has_outputs: Callable[[str], bool] = lambda _: True,
    takes_committed: bool = True,
    retry_permanent: bool = False,
    retry_fallbacks: bool = False,
) -> ResumeDecision:
    """Decide for each episode whether it has to be processed. Results and failures with another fingerprint do not count.

    Args:
        fingerprints: episode → fingerprint of everything that determines its result now.
        committed: what the last run committed.
        checkpoints: the stage's checkpoints; None where only the committed table counts.
        has_outputs: whether the files that an episode's result has beside its rows exist; without them it is processed again.
        takes_committed: whether results can be taken from the committed table.
        retry_permanent: retry episodes that failed because of their data, too.
        retry_fallbacks: process episodes again that a fallback engine did.
    """
    found = ResumeDecision()
    for episode, fingerprint in fingerprints.items():
        complete = has_outputs(episode)
        entry = committed.entry(episode, fingerprint) if complete and takes_committed else None
        if entry is not None and not (retry_fallbacks and entry["fallback"][0] is not None):
            found.committed[episode] = entry
        elif complete and checkpoints and (checkpoint := checkpoints.read(episode, fingerprint)):
            found.checkpointed[episode] = checkpoint[1]
        elif not retry_permanent and (failure := _permanent_failure(committed, episode, fingerprint)):
            found.failed_permanently[episode] = failure
        else:
            found.todo.append(episode)
    return found


def _permanent_failure(committed: CommittedTable, episode: str, fingerprint: str) -> dict[str, Any] | None:
    failure = committed.failure(episode)
    return failure if failure and failure["permanent"] and failure["fingerprint"] == fingerprint else None


def failure_row(
    committed: CommittedTable,
    error: Exception,
    *,
    episode_id: str,
    source: str,
    stage: str,
    fingerprint: str,
    trace: str | None = None,
) -> dict[str, Any]:
    """Return the failure of an episode, a row of FAILURES. Attempts include those of earlier runs with the same fingerprint.

    Args:
        committed: what the last run committed.
        error: why it failed; `BadInput` is permanent.
        episode_id: stable id of the episode.
        source: the name shown to people.
        stage: name of the stage.
        fingerprint: of everything that determined the attempt.
        trace: the error's traceback, where it comes from another process.
    """
    before = committed.failure(episode_id)
    attempts = before["attempts"] if before is not None and before["fingerprint"] == fingerprint else 0
    return {
        "episode_id": episode_id,
        "source": source,
        "stage": stage,
        "error_type": type(error).__name__,
        "message": without_source(redact_text(str(error).strip()), source) or type(error).__name__,
        "traceback": redact_text(trace or "".join(traceback.format_exception(error))),
        "permanent": isinstance(error, BadInput),
        # an episode without its engine has not been tried
        "attempts": attempts + (not isinstance(error, EngineUnavailable)),
        "fingerprint": fingerprint,
        "failed_at": datetime.datetime.now(datetime.UTC),
    }
