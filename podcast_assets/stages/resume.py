"""To run again is to resume: what a stage takes from before, what failed for good, and what it has to do.

This is the only place where that is decided: the runner, the sealing of every grain and the downloads all ask here.
"""

import datetime
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from podcast_assets.common.errors import BadInput, EngineUnavailable
from podcast_assets.store.commits import Checkpoints, CommittedTable


@dataclass(frozen=True)
class Resume:
    """What is known of each episode before a stage runs: each is in exactly one of these, in the order that was given."""

    committed: dict[str, pl.DataFrame] = field(default_factory=dict)
    """Provenance of the episodes that the asset's table holds."""
    checkpointed: dict[str, pl.DataFrame] = field(default_factory=dict)
    """Provenance of the episodes that are done, but not committed yet."""
    failed_for_good: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Failures because of the data: to try again cannot help."""
    todo: list[str] = field(default_factory=list)
    """Episodes that are new or changed, or whose failure may pass."""


def decide(
    fingerprints: Mapping[str, str],
    committed: CommittedTable,
    *,
    checkpoints: Checkpoints | None = None,
    has_outputs: Callable[[str], bool] = lambda _: True,
    takes_committed: bool = True,
    retry_permanent: bool = False,
    retry_fallbacks: bool = False,
) -> Resume:
    """Decide for each episode whether it has to be done. Nothing counts that was made with another fingerprint.

    Args:
        fingerprints: episode → fingerprint of all that determines its result now.
        committed: what the last run committed.
        checkpoints: of the stage; None where only what is committed counts.
        has_outputs: whether the files that a result has beside its rows are there: without them it is made again.
        takes_committed: whether results can be taken from the committed table.
        retry_permanent: try again even what failed because of its data.
        retry_fallbacks: make again what a fallback made.
    """
    found = Resume()
    for episode, fingerprint in fingerprints.items():
        whole = has_outputs(episode)
        entry = committed.entry(episode, fingerprint) if whole and takes_committed else None
        if entry is not None and not (retry_fallbacks and entry["fallback"][0] is not None):
            found.committed[episode] = entry
        elif whole and checkpoints and (checkpoint := checkpoints.read(episode, fingerprint)):
            found.checkpointed[episode] = checkpoint[1]
        elif not retry_permanent and (failure := _failed_for_good(committed, episode, fingerprint)):
            found.failed_for_good[episode] = failure
        else:
            found.todo.append(episode)
    return found


def _failed_for_good(committed: CommittedTable, episode: str, fingerprint: str) -> dict[str, Any] | None:
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
    """The failure of an episode, a row of FAILURES; its attempts include those of earlier runs with the same fingerprint.

    Args:
        committed: what the last run committed.
        error: why it failed; `BadInput` is for good.
        episode_id: stable id of the episode.
        source: the name that people know it by.
        stage: name of the stage.
        fingerprint: of all that determined the attempt.
        trace: traceback, where it comes from another process.
    """
    before = committed.failure(episode_id)
    attempts = before["attempts"] if before is not None and before["fingerprint"] == fingerprint else 0
    return {
        "episode_id": episode_id,
        "source": source,
        "stage": stage,
        "error_type": type(error).__name__,
        "message": str(error).strip() or type(error).__name__,
        "traceback": trace or "".join(traceback.format_exception(error)),
        "permanent": isinstance(error, BadInput),
        # without its engine an episode is not tried
        "attempts": attempts + (not isinstance(error, EngineUnavailable)),
        "fingerprint": fingerprint,
        "failed_at": datetime.datetime.now(datetime.UTC),
    }
