"""Notifications of the webhook: what they say of a run, and those of runs in this process.

Sensors (`sensors/run_alerts.py`) notify of the runs that Dagster's daemon executes. A command that executes a run itself notifies
of it too, because there may be no daemon. A tag of the run keeps a daemon that sees the run from doing so again.
"""

import datetime
import logging
import queue
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from podcast_assets.common.redaction import redact_text
from podcast_assets.config.settings import Settings
from podcast_assets.defs.dagster_internals import ErrorInfo
from podcast_assets.defs.runs.errors import summarize_error, traceback_lines
from podcast_assets.defs.runs.process import is_dead
from podcast_assets.defs.runs.tags import SOURCE
from podcast_assets.defs.webhook import DeliveryFailed, Webhook, send
from podcast_assets.store.commits import CommittedTable
from podcast_assets.store.schema import ASSETS
from podcast_assets.store.stage_names import STAGES
from podcast_assets.store.store import Store

ERROR_LENGTH = 500
"""Maximum length of an error in a notification, in characters: it is one line in a chat, and the run has the rest."""
TRACEBACK_LINES = 10
"""Last lines of a traceback in a notification: the frames that say where, within what a chat shows at once."""
TRACEBACK_LENGTH = 2_000
"""Maximum length of a traceback in a notification, in characters."""
NOTIFIED = ".dagster/podcast/notified"
"""Tag of runs that notify by themselves: their id, and the statuses that the webhook has received. Dagster's UI hides it."""

log = logging.getLogger(__name__)


def stage_counts(store: Store, batches: Sequence[str]) -> dict[str, dict[str, int]]:
    """Count the done and failed episodes that each stage has committed for the batches; stages without commits are missing."""
    counts: dict[str, dict[str, int]] = {}
    for asset in ASSETS:
        committed = [c for c in (CommittedTable.read(store, asset, b) for b in batches) if c.table is not None]
        if committed:
            counts[STAGES[asset]] = {
                "done": sum(len(c.fingerprints) for c in committed),
                "failed": sum(len(c.failed) for c in committed),
            }
    return counts


def describe_run(
    run: dg.DagsterRun,
    status: dg.DagsterRunStatus,
    batches: Sequence[str],
    counts: Mapping[str, Mapping[str, int]],
    error: str | None = None,
    trace: Sequence[str] = (),
) -> dict[str, Any]:
    """Make the notification of a run.

    Args:
        run: the run.
        status: what happened to it; by the time of the notification it may have another status.
        batches: its batches.
        counts: result of `stage_counts`.
        error: why it failed; only the first line is sent.
        trace: lines of the error's traceback; only the last ones are sent.
    """
    lines = (error or "").strip().splitlines()
    tail = redact_text("\n".join(trace[-TRACEBACK_LINES:]))[-TRACEBACK_LENGTH:]
    return {
        # a sensor that was interrupted sends a notification again, which receivers recognize by its id
        "id": f"{run.run_id}:{status.value}",
        "run_id": run.run_id,
        "status": status.value.lower(),
        "job": run.job_name,
        "source": run.tags.get(SOURCE),
        "batches": list(batches),
        "error": redact_text(lines[0])[:ERROR_LENGTH] if lines else None,
        "traceback": tail or None,
        "will_retry": run.tags.get("dagster/will_retry") == "true",
        "stages": {stage: dict(numbers) for stage, numbers in counts.items()},
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def describe_step_error(step: str, error: ErrorInfo | None) -> tuple[str, list[str]]:
    """Describe the error of a failed step in one line, and return the lines of its traceback."""
    return f"{step}: {summarize_error(error)}", traceback_lines(error)


def configured_webhook(settings: Settings, status: dg.DagsterRunStatus | None = None) -> Webhook | None:
    """Return the webhook of the settings; None if they have none, or none for this status."""
    if settings.webhook_url is None or settings.webhook_secret is None:
        return None
    if status is not None and status.value.lower() not in settings.webhook_statuses:
        return None
    return Webhook(str(settings.webhook_url), settings.webhook_secret.get_secret_value())


def notifies_itself(run: dg.DagsterRun, status: dg.DagsterRunStatus) -> bool:
    """Whether the process of a run has notified of this status, or still can."""
    run_id, _, statuses = run.tags.get(NOTIFIED, "").partition(" ")
    return run_id == run.run_id and (status.value in statuses.split() or not is_dead(run))


class RunNotifier:
    """Notifies the webhook of one run that this process executes, from a thread, so that the run does not wait for it."""

    def __init__(self, instance: dg.DagsterInstance, settings: Settings, run: dg.DagsterRun, batches: Sequence[str]):
        """Notify of nothing yet.

        Args:
            instance: the instance that records the run.
            settings: settings with the webhook and the store.
            run: the run, which need not be recorded yet.
            batches: its batches.
        """
        self._instance, self._settings, self._run, self._batches = instance, settings, run, batches
        self._sent: list[str] = []
        self._waiting: queue.SimpleQueue[tuple[Webhook, dict[str, Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._send_all, name="webhook", daemon=True)
        self._active = configured_webhook(settings) is not None

    @property
    def tags(self) -> dict[str, str]:
        """Tags that tell the daemon's sensors of this notifier."""
        return {NOTIFIED: " ".join([self._run.run_id, *self._sent])} if self._active else {}

    def started(self) -> None:
        """Notify that the run starts."""
        if self._active:
            self._thread.start()
            self._put(self._run, dg.DagsterRunStatus.STARTED)

    def ended(self, error: str | None, trace: Sequence[str], *, interrupted: bool = False) -> None:
        """Notify of the end of the run, wait until that is sent, and record that it was.

        Args:
            error: why the run failed; None if it succeeded.
            trace: lines of the error's traceback.
            interrupted: whether a signal ended it, which is a cancellation, although Dagster records a failure.
        """
        if not self._active:
            return
        run = self._instance.get_run_by_id(self._run.run_id) or self._run
        if interrupted:
            self._put(run, dg.DagsterRunStatus.CANCELED, "interrupted by a signal")
        else:
            self._put(run, run.status, error, trace)
        self._waiting.put(None)
        self._thread.join()
        if interrupted:
            self._sent.append(run.status.value)  # no second notification of the same end
        self._instance.add_run_tags(run.run_id, self.tags)

    def _put(
        self, run: dg.DagsterRun, status: dg.DagsterRunStatus, error: str | None = None, trace: Sequence[str] = ()
    ) -> None:
        if webhook := configured_webhook(self._settings, status):
            counts = self._stage_counts()
            self._waiting.put((webhook, describe_run(run, status, self._batches, counts, error, trace)))

    def _stage_counts(self) -> dict[str, dict[str, int]]:
        settings = self._settings
        try:
            store = Store.at(settings.store, follow_links=settings.allow_links, access=settings.store_access)
            return stage_counts(store, self._batches)
        except OSError as error:  # the run reports it; the notification is sent without counts
            log.debug("no counts for the webhook: %s", error)
            return {}

    def _send_all(self) -> None:
        while found := self._waiting.get():
            webhook, content = found
            try:
                send(webhook, content)
            except DeliveryFailed as error:  # the run itself goes on
                log.warning("not notified of run %s (%s): %s", self._run.run_id[:8], content["status"], error)
            else:
                self._sent.append(content["status"].upper())
