"""Waiting submissions become lists of URLs under `incoming/`, of up to 64 episodes, so that partitions stay few.

Each step can be interrupted and repeated: a plan names the submissions of a list before anything else is written, and what it says
is finished before anything new is gathered.
"""

import datetime
import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from podcast_assets.common.errors import BadInput
from podcast_assets.common.parallel import run_in_threads
from podcast_assets.intake.arrivals import INCOMING
from podcast_assets.intake.downloads.urls import url_key
from podcast_assets.intake.given_metadata import overwrite
from podcast_assets.intake.links import URL, format_link_list
from podcast_assets.review.api.records import (
    FOLDER,
    WAITING,
    Submission,
    batched_key,
    decode,
    waiting_key,
    write_batched,
)
from podcast_assets.store.store import STORE_READERS, Store, table_key

log = logging.getLogger(__name__)

SIZE = 64
"""Most episodes of a list: as many as a batch that is not split has."""
PLANNED = f"{FOLDER}/planned"
CALLING = f"{FOLDER}/calling"
"""Submissions with a callback that is still to be sent."""


@dataclass
class Gatherer:
    """Gathers the submissions of a store. One process at a time may do so."""

    store: Store
    seconds: float
    """Longest time that a submission waits for others."""

    def __post_init__(self) -> None:
        self._damaged: set[str] = set()

    def gather(self, now: float) -> list[str]:
        """Write the lists that are due, and return the names of their batches.

        Args:
            now: POSIX seconds.

        Raises:
            OSError: the store cannot be read or written to. What was not done is done by the next call.
        """
        batches = [self._finish(name.removesuffix(".json")) for name in sorted(self.store.names(PLANNED))]
        for group in self._due(now):
            batch = _batch_name(group)
            plan = json.dumps([s.submission_id for s in group]).encode()
            self.store.write(f"{PLANNED}/{batch}.json", plan)
            batches.append(self._finish(batch))
        return batches

    def _due(self, now: float) -> Iterator[list[Submission]]:
        """Groups of submissions, the oldest first, that are large or old enough for a list."""
        files = sorted(self.store.list_folder(WAITING).files, key=lambda f: (f.modified, f.key))
        files = [f for f in files if f.key.endswith(".json")]
        found = dict(run_in_threads(self._read, [f.key for f in files], STORE_READERS, name="submissions"))
        group: list[Submission] = []
        oldest = now
        for file in files:
            submission = found[file.key]
            if submission is None:
                continue
            if group and _size([*group, submission]) > SIZE:
                yield group
                group = []
            oldest = oldest if group else file.modified
            group.append(submission)
        if group and (_size(group) >= SIZE or now - oldest >= self.seconds):
            yield group

    def _read(self, key: str) -> tuple[str, Submission | None]:
        try:
            return key, decode(self.store, key)
        except FileNotFoundError:
            return key, None
        except BadInput as error:  # the others go on
            if key not in self._damaged:
                log.error("%s", error)
                self._damaged.add(key)
            return key, None

    def _finish(self, batch: str) -> str:
        """Carry out a plan, from wherever it was interrupted."""
        store, plan = self.store, f"{PLANNED}/{batch}.json"
        submissions = [self._planned(identity) for identity in json.loads(store.read(plan))]
        members = [replace(s, batch=batch) for s in submissions if s is not None]
        # before a submission is not waiting any more, it is known where it went
        for submission in members:
            write_batched(store, submission)
        if not store.exists(f"{INCOMING}/{batch}.jsonl") and not store.exists(table_key("raw_audio", batch)):
            store.write(f"{INCOMING}/{batch}.jsonl", format_link_list(list_rows(members)))
        store.write_all((f"{CALLING}/{s.submission_id}.json", b"{}") for s in members if s.callback)
        for submission in members:
            store.remove(waiting_key(submission.submission_id))
        store.remove(plan)
        return batch

    def _planned(self, identity: str) -> Submission | None:
        for key in (waiting_key(identity), batched_key(identity)):
            try:
                return decode(self.store, key)
            except FileNotFoundError:
                continue
        log.error("submission %s is gone although it was planned", identity)
        return None


def list_rows(submissions: Sequence[Submission]) -> list[dict[str, Any]]:
    """Rows of a list: each URL once. Where it was submitted more than once, what was said last takes precedence."""
    rows: dict[str, dict[str, Any]] = {}
    for row in (row for submission in submissions for row in submission.rows):
        key = url_key(row[URL])
        rows[key] = overwrite(rows.get(key, {}), row)
    return list(rows.values())


def _size(submissions: Sequence[Submission]) -> int:
    return sum(len(s.rows) for s in submissions)


def _batch_name(submissions: Sequence[Submission]) -> str:
    at = datetime.datetime.fromisoformat(submissions[0].submitted_at)
    identity = hashlib.sha256("\n".join(s.submission_id for s in submissions).encode()).hexdigest()
    return f"api-{at:%Y%m%d-%H%M%S}-{identity[:8]}"
