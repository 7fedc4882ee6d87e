"""Callbacks: a signed message to the URL that a submission names, once all its episodes are finished.

They are signed as webhooks are (https://www.standardwebhooks.com), with the secret of the token that submitted, and go to public
addresses only. Each is sent until the receiver takes it, for about a day.
"""

import datetime
import json
import logging
import uuid
from collections.abc import Callable
from typing import Any

from podcast_assets.common.errors import BadInput
from podcast_assets.common.redaction import redact_url
from podcast_assets.common.webhook_signing import standard_headers
from podcast_assets.config.settings import Settings
from podcast_assets.intake.downloads.addresses import ForbiddenAddress, why_forbidden
from podcast_assets.intake.downloads.http import HttpClient, TimeBudget, Transient
from podcast_assets.intake.downloads.politeness import HostTurns
from podcast_assets.intake.downloads.urls import parse_url
from podcast_assets.review.api.gathering import CALLING
from podcast_assets.review.api.records import Submission, batched_key, decode, write_batched
from podcast_assets.review.api.status import FINAL, BatchProgress, submission_status
from podcast_assets.review.secrets import deployment_key
from podcast_assets.review.tokens import callback_secret
from podcast_assets.store.store import Store

log = logging.getLogger(__name__)

EVENT = "submission.finished"
SECONDS = 10.0
"""Time for an attempt."""
WAITS = (0, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 28_800)
"""Seconds before each attempt; about a day in all."""


def check_callback(url: str, allowed: frozenset[str]) -> None:
    """Check the URL of a callback without network access; the address of a host's name is checked when it is called.

    Raises:
        BadInput: it is not an http or https URL, or its address is not public.
    """
    target = parse_url(url)
    if target.host not in allowed:
        check_literal_address(target.host, "PODCAST_API_CALLBACK_HOSTS")


def check_literal_address(host: str, setting: str) -> None:
    """Refuse a host that is written as an address that is not public, or is this machine by name.

    Raises:
        BadInput: it is one.
    """
    try:
        reason = why_forbidden(host)
    except ValueError:  # a name
        reason = "it is this machine itself" if host == "localhost" or host.endswith(".localhost") else None
    if reason is not None:
        raise BadInput(f"{host} is not on the public network ({reason}); {setting} can allow it")


class CallbackSender:
    """Sends the callbacks of a store that are due."""

    def __init__(self, settings: Settings, store: Store, clock: Callable[[], float]) -> None:
        """Make a sender.

        Args:
            settings: the settings.
            store: the store.
            clock: returns POSIX seconds.

        Raises:
            Misconfigured: the key that secrets are derived from cannot be read.
        """
        self._store, self._clock = store, clock
        self._key = deployment_key(settings)
        turns = HostTurns(overall=4, per_host=2, delay=0.0)
        self._client = HttpClient(turns, settings.user_agent, settings.callback_hosts)

    def send_due(self) -> int:
        """Send what is due, and return the number of callbacks that were taken or given up.

        Raises:
            OSError: the store cannot be read or written to.
        """
        finished = 0
        progress: dict[str, BatchProgress] = {}
        for name in sorted(self._store.names(CALLING)):
            identity = name.removesuffix(".json")
            try:
                submission = decode(self._store, batched_key(identity))
                marker = json.loads(self._store.read(f"{CALLING}/{name}"))
            except (FileNotFoundError, BadInput) as error:
                log.error("the callback of %s is not sent: %s", identity, error)
                self._store.remove(f"{CALLING}/{name}")
                continue
            if self._clock() < marker.get("not_before", 0) or submission.batch is None:
                continue
            known = progress.setdefault(submission.batch, BatchProgress(self._store, submission.batch))
            status = submission_status(self._store, submission, known)
            if all(episode["state"] in FINAL for episode in status["episodes"]):
                finished += self._send(submission, status, marker.get("attempts", 0))
        return finished

    def _send(self, submission: Submission, status: dict[str, Any], attempts: int) -> bool:
        """Make an attempt; return whether there will be no other."""
        identity, marker = submission.submission_id, f"{CALLING}/{submission.submission_id}.json"
        result = self._post(submission, status)
        attempts += 1
        if result is not None and attempts < len(WAITS):
            later = {"attempts": attempts, "not_before": self._clock() + WAITS[attempts]}
            self._store.write(marker, json.dumps(later).encode())
            log.warning("callback of %s failed (%s); it is sent again in %s s", identity, result, WAITS[attempts])
            return False
        write_batched(self._store, submission, called_back="sent" if result is None else f"given up: {result}")
        self._store.remove(marker)
        if result is not None:
            log.error("callback of %s is given up after %s attempts: %s", identity, attempts, result)
        return True

    def _post(self, submission: Submission, status: dict[str, Any]) -> str | None:
        """Post the message; return why that failed, or None."""
        assert submission.callback is not None
        now = int(self._clock())
        content = {
            "type": EVENT,
            "timestamp": datetime.datetime.fromtimestamp(now, datetime.UTC).isoformat(),
            "data": {key: value for key, value in status.items() if key != "callback"},
        }
        body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        secret = callback_secret(self._key, uuid.UUID(submission.token_id))
        # the same id in every attempt, by which receivers recognize repetitions
        headers = standard_headers(secret, submission.submission_id, body, now)
        try:
            code = self._client.post(
                submission.callback, body, {"Content-Type": "application/json", **headers}, TimeBudget(SECONDS)
            )
        except ForbiddenAddress:
            return f"{redact_url(submission.callback)} does not lead to a public address"
        except (BadInput, Transient, OSError) as error:
            return str(error)
        return None if 200 <= code < 300 else f"{parse_url(submission.callback).host} answered with status {code}"
