"""Committed batches without computation: tables without rows, and the failures that a test gives."""

import datetime
from typing import Any

from podcast_assets.store.commits import commit
from podcast_assets.store.schema import ASSETS, FAILURES, PROVENANCE, empty_table, make_table
from podcast_assets.store.stage_names import STAGES
from podcast_assets.store.store import Store


def failure(stage: str, *, permanent: bool = False, attempts: int = 1, episode: str = "a") -> dict[str, Any]:
    """A row of the failures table."""
    return {
        "episode_id": episode,
        "source": f"{episode}.mp3",
        "stage": stage,
        "error_type": "BadInput" if permanent else "ConnectionError",
        "message": "it failed",
        "traceback": "Traceback …",
        "permanent": permanent,
        "attempts": attempts,
        "fingerprint": "f" * 32,
        "failed_at": datetime.datetime.now(datetime.UTC),
    }


def commit_batch(store: Store, batch: str, *failures: dict[str, Any], without: str | None = None) -> None:
    """Commit all assets of a batch except `without`, with failures of any stages."""
    for asset in ASSETS:
        if asset != without:
            own = [f for f in failures if f["stage"] == STAGES[asset]]
            commit(store, asset, batch, empty_table(ASSETS[asset]), empty_table(PROVENANCE), make_table(own, FAILURES))
