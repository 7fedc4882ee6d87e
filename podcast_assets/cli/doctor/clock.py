"""Check of this machine's clock, against those that store and database have."""

import os
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from podcast_assets.cli.doctor.finding import Finding
from podcast_assets.common.errors import first_line
from podcast_assets.common.redaction import redact_text
from podcast_assets.store.store import Store

AREA = "clock"
TOLERANCE = 60.0
"""Seconds of difference that matter: S3 refuses signatures that are 15 minutes off and receivers of webhooks those of 5 minutes,
and a clock that is a minute off is set by nobody and drifts on."""


def examine(source: str, read: Callable[[], float | None]) -> list[Finding]:
    """Compare the clock with another one.

    Args:
        source: whose clock it is, for people.
        read: returns its time, POSIX seconds, while it is called; None if it is this machine's own.
    """
    before = time.time()
    try:
        there = read()
    except Exception as error:  # of the disk, the network, or a client library: other checks say what is wrong with it
        return [Finding(AREA, "warning", f"the clock of {source} cannot be read: {redact_text(first_line(error))}")]
    return [] if there is None else [judge(source, there, before, time.time())]


def judge(source: str, there: float, before: float, after: float) -> Finding:
    """Judge the difference to another clock.

    Args:
        source: whose clock it is, for people.
        there: its time, POSIX seconds.
        before: this machine's time before it was read, POSIX seconds.
        after: and after it.
    """
    ahead = max(before - there, 0.0) or min(after - there, 0.0)
    if abs(ahead) <= TOLERANCE:
        return Finding(AREA, "ok", f"this machine and {source} agree within {max(1.0, abs(ahead)):.0f} s")
    direction = "ahead of" if ahead > 0 else "behind"
    what = (
        f"this machine is {abs(ahead):,.0f} s {direction} {source}: signatures of requests and webhooks may be refused"
    )
    return Finding(AREA, "warning", what, "synchronize the clocks (chrony, systemd-timesyncd), of both machines")


def store_time(store: Store) -> float | None:
    """Return the time that the store gives a new file, POSIX seconds; None if the store does not exist yet."""
    if store.is_local:
        root = Path(str(store.root))
        if not root.is_dir():
            return None
        with tempfile.NamedTemporaryFile(dir=root, prefix=".doctor-") as file:  # on a network drive, its server's time
            file.write(b"x")
            file.flush()
            os.fsync(file.fileno())
            return os.fstat(file.fileno()).st_mtime
    folder = f".doctor-{uuid.uuid4().hex[:12]}"
    key = f"{folder}/clock"
    store.write(key, b"podcast-assets doctor")
    try:
        return next(entry.modified for entry in store.list(folder))
    finally:
        store.remove(key)
