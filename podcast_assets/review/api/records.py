"""Submissions in the store: written before they are accepted, so that none that was accepted is lost.

`submissions/waiting/<id>.json` waits for its batch, and `submissions/batched/<id>.json` says which it is in.
"""

import datetime
import hashlib
import json
import re
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from podcast_assets.common.errors import BadInput
from podcast_assets.store.store import Store

FOLDER = "submissions"
WAITING = f"{FOLDER}/waiting"
BATCHED = f"{FOLDER}/batched"
SUBMISSION_ID = "^s[0-9a-f]{24}$"
_ID = re.compile(SUBMISSION_ID)


@dataclass(frozen=True)
class Submission:
    """Episodes that a program submitted in one request."""

    submission_id: str
    token_id: str
    """Who may ask for it, unless the token may read everything."""
    submitted_at: str
    """ISO 8601."""
    rows: tuple[Mapping[str, Any], ...] = field(repr=False)
    """Rows of a list of URLs, each with its `url`."""
    digest: str
    """Of what was requested, to tell a repetition from another request with the same idempotency key."""
    callback: str | None = field(default=None, repr=False)
    """URL to post to when all is done. It may have a secret in it."""
    batch: str | None = None
    """None while it waits."""
    called_back: str | None = None
    """What became of the callback; None while it is not sent."""

    @property
    def urls(self) -> list[str]:
        """URLs of the episodes."""
        return [row["url"] for row in self.rows]


def new_submission(
    token_id: uuid.UUID,
    rows: Sequence[Mapping[str, Any]],
    *,
    callback: str | None,
    key: str | None,
    at: datetime.datetime,
) -> Submission:
    """Make a submission. With an idempotency key, the same token always gets the same id."""
    request = json.dumps([list(rows), callback], ensure_ascii=False, sort_keys=True)
    unique = hashlib.sha256(f"{token_id}\0{key}".encode()).hexdigest()[:24] if key else secrets.token_hex(12)
    return Submission(
        submission_id=f"s{unique}",
        token_id=str(token_id),
        submitted_at=at.isoformat(timespec="seconds"),
        rows=tuple(rows),
        digest=hashlib.sha256(request.encode()).hexdigest(),
        callback=callback,
    )


def write_waiting(store: Store, submission: Submission) -> None:
    """Write a submission that waits for its batch; it is durable when this returns.

    Raises:
        OSError: the store cannot be written to.
    """
    store.write(waiting_key(submission.submission_id), _encode(submission))


def write_batched(store: Store, submission: Submission, **changes: str) -> None:
    """Write a submission that has its batch, with changes of `batch` or `called_back`."""
    store.write(batched_key(submission.submission_id), _encode(replace(submission, **changes)))


def find_submission(store: Store, submission_id: str) -> Submission | None:
    """Find a submission; None if there is none.

    Raises:
        BadInput: it is damaged.
        OSError: the store cannot be read.
    """
    if not _ID.fullmatch(submission_id):
        return None
    # the second one is written before the first is removed
    for key in (waiting_key(submission_id), batched_key(submission_id)):
        try:
            return decode(store, key)
        except FileNotFoundError:
            continue
    return None


def decode(store: Store, key: str) -> Submission:
    """Read a submission.

    Raises:
        FileNotFoundError: it does not exist.
        BadInput: it is damaged.
    """
    data = store.read(key)
    try:
        found = json.loads(data)
        return Submission(**found | {"rows": tuple(found["rows"])})
    except (ValueError, TypeError, KeyError) as error:
        raise BadInput(f"{store.path(key)} is not a submission ({type(error).__name__}): repair or remove it") from None


def waiting_key(submission_id: str) -> str:
    """Key of a submission that waits."""
    return f"{WAITING}/{submission_id}.json"


def batched_key(submission_id: str) -> str:
    """Key of a submission that has its batch."""
    return f"{BATCHED}/{submission_id}.json"


def _encode(submission: Submission) -> bytes:
    return json.dumps(asdict(submission), ensure_ascii=False).encode()
