"""What became of submissions, as the store has it: committed tables, and before them the checkpoints of each stage."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from podcast_assets.intake.arrivals import INCOMING
from podcast_assets.intake.downloads.urls import redact_url_distinctly, url_key
from podcast_assets.intake.episode_lookup import url_of
from podcast_assets.review.api.records import Submission
from podcast_assets.store.commits import CommittedTable
from podcast_assets.store.discard_records import read_batch_discards
from podcast_assets.store.stage_names import STAGES
from podcast_assets.store.store import Store, checkpoints_key, table_key

State = Literal["waiting", "queued", "processing", "done", "failed", "skipped", "discarded", "removed"]
_UNFINISHED: tuple[State, ...] = ("processing", "queued", "waiting")
_FINISHED: tuple[State, ...] = ("done", "failed", "skipped", "discarded")
FINAL: frozenset[State] = frozenset({*_FINISHED, "removed"})
DOWNLOAD = "download"
_LATER = tuple(asset for asset in STAGES if asset != "raw_audio")
_REMOVED = "the batch does not have it any more: it was taken down, or its list was replaced"


@dataclass(frozen=True)
class EpisodeStatus:
    """What became of an episode."""

    url: str
    """Without login and query."""
    state: State
    episode_id: str | None = None
    """None until it is downloaded."""
    stage: str | None = None
    """The stage that comes next, is at work or has failed; None where there is none."""
    progress: float = 0.0
    """Share of the stages that are behind it, 0 to 1."""
    error: str | None = None
    """Why it failed or was left out."""


@dataclass(frozen=True)
class _Row:
    episode_id: str
    status: str
    error: str | None


class BatchProgress:
    """How far the episodes of a batch are. Reads what it needs when it is made."""

    def __init__(self, store: Store, batch: str) -> None:
        """Read the tables of a batch.

        Raises:
            OSError: the store cannot be read.
        """
        self._store, self._batch = store, batch
        self._ingested = store.exists(table_key("raw_audio", batch))
        self._rows: dict[str, _Row] = {}
        self._committed: dict[str, CommittedTable] = {}
        self._checkpoints: dict[str, set[str]] = {}
        self._discarded: Mapping[str, str] = {}
        if not self._ingested:
            return
        columns = ("episode_id", "status", "error", "source", "metadata")
        table = CommittedTable.read_columns(store, "raw_audio", batch, columns)
        for row in table.rows.iter_rows(named=True) if table.table is not None else ():
            found = _Row(row["episode_id"], row["status"], row["error"])
            url = url_of(row)
            self._rows.setdefault(url_key(url) if url else row["source"], found)
            self._rows.setdefault(row["source"], found)
        self._committed = {"raw_audio": table} | {a: CommittedTable.read_columns(store, a, batch, ()) for a in _LATER}
        scored = CommittedTable.read_columns(store, "quality_scores", batch, ("episode_id",))
        self._scored = set(scored.rows["episode_id"]) if scored.table is not None else set[str]()
        self._discarded = read_batch_discards(store, batch)

    def episode(self, url: str) -> EpisodeStatus:
        """Return how far the episode of a URL is."""
        shown = redact_url_distinctly(url)
        if not self._ingested:
            return self._before_ingest(shown)
        row = self._rows.get(url_key(url)) or self._rows.get(shown)
        if row is None:
            return EpisodeStatus(shown, "removed", progress=1.0, error=_REMOVED)
        if row.episode_id in self._discarded:
            return EpisodeStatus(
                shown, "discarded", row.episode_id, progress=1.0, error=self._discarded[row.episode_id]
            )
        for asset, table in self._committed.items():
            if failure := table.failure(row.episode_id):
                return EpisodeStatus(
                    shown, "failed", row.episode_id, STAGES[asset], self._share(row.episode_id), failure["message"]
                )
        if row.status == "failed":
            return EpisodeStatus(shown, "failed", row.episode_id, STAGES["raw_audio"], 0.0, row.error)
        if row.status == "skipped":
            return EpisodeStatus(shown, "skipped", row.episode_id, progress=1.0, error=row.error)
        stage = next((a for a in _LATER if not self._is_behind(a, row.episode_id)), None)
        share = self._share(row.episode_id)
        if stage is None:
            return EpisodeStatus(shown, "done", row.episode_id, progress=1.0)
        return EpisodeStatus(shown, "processing", row.episode_id, STAGES[stage], share)

    def _before_ingest(self, shown: str) -> EpisodeStatus:
        begun = any(self._store.names(checkpoints_key(s, self._batch)) for s in (DOWNLOAD, STAGES["raw_audio"]))
        if begun:
            return EpisodeStatus(shown, "processing", stage=STAGES["raw_audio"])
        if not self._store.exists(f"{INCOMING}/{self._batch}.jsonl"):
            return EpisodeStatus(shown, "removed", progress=1.0, error=_REMOVED)
        return EpisodeStatus(shown, "queued", stage=STAGES["raw_audio"])

    def _share(self, episode_id: str) -> float:
        behind = sum(self._is_behind(asset, episode_id) for asset in _LATER)
        return round((1 + behind) / len(STAGES), 2)

    def _is_behind(self, asset: str, episode_id: str) -> bool:
        """Whether a stage has done an episode, committed or not."""
        table = self._committed[asset]
        if table.table is not None or table.fingerprints:
            silent = asset == "hf_shards" and episode_id not in self._scored  # it has nothing to package
            if silent or episode_id in table.fingerprints:
                return True
        if asset not in self._checkpoints:
            self._checkpoints[asset] = self._store.names(checkpoints_key(STAGES[asset], self._batch))
        return _has_checkpoint(episode_id, self._checkpoints[asset])


def _has_checkpoint(episode_id: str, names: Collection[str]) -> bool:
    return any(name.startswith(f"{episode_id}-") and name.endswith(".parquet") for name in names)


def submission_status(store: Store, submission: Submission, progress: BatchProgress | None = None) -> dict[str, Any]:
    """Return what became of a submission, as JSON values.

    Args:
        store: the store.
        submission: the submission.
        progress: of its batch, where that was read already.

    Raises:
        OSError: the store cannot be read.
    """
    if submission.batch is None:
        episodes = [EpisodeStatus(redact_url_distinctly(url), "waiting") for url in submission.urls]
    else:
        progress = progress or BatchProgress(store, submission.batch)
        episodes = [progress.episode(url) for url in submission.urls]
    return {
        "id": submission.submission_id,
        "state": _state_of_all([e.state for e in episodes]),
        "progress": round(sum(e.progress if e.state != "failed" else 1.0 for e in episodes) / len(episodes), 2),
        "submitted_at": submission.submitted_at,
        "batch": submission.batch,
        "callback": submission.called_back or ("pending" if submission.callback else None),
        "episodes": [vars(e) for e in episodes],
    }


def _state_of_all(states: Sequence[State]) -> State:
    """State of a submission: processing while some episodes are behind others, else done if any episode is."""
    for state in _UNFINISHED:
        if state in states:
            return "processing" if len(set(states)) > 1 else state
    for state in _FINISHED:
        if state in states:
            return state
    return "removed"
