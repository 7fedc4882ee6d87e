"""What the HTTP interface does beside answering: gather submissions, send callbacks, and forget what is old."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator

from podcast_assets.common.errors import first_line
from podcast_assets.common.redaction import redact_text
from podcast_assets.config.settings import Settings
from podcast_assets.review.api.callbacks import CallbackSender
from podcast_assets.review.api.gathering import CALLING, Gatherer
from podcast_assets.review.api.records import BATCHED
from podcast_assets.store.store import Store

log = logging.getLogger(__name__)

_GATHER_EVERY, _CALL_EVERY, _FORGET_EVERY = 1.0, 5.0, 3_600.0
"""Seconds between looks at what waits, what is finished and what is old."""
_DAY = 86_400.0


@contextlib.contextmanager
def background(settings: Settings, store: Store) -> Iterator[None]:
    """Work while the block runs. Of several processes on this machine one does so, and another takes over when it ends.

    Args:
        settings: the settings.
        store: the store.

    Raises:
        Misconfigured: the key that the secrets of callbacks are derived from cannot be read.
    """
    ended = threading.Event()
    gatherer = Gatherer(store, settings.api_gather_seconds)
    sender = CallbackSender(settings, store, time.time)
    works: tuple[tuple[str, Callable[[], object], float], ...] = (
        ("api-gather", lambda: gatherer.gather(time.time()), _GATHER_EVERY),
        ("api-callbacks", sender.send_due, _CALL_EVERY),
        ("api-forget", lambda: forget(store, time.time() - settings.api_keep_days * _DAY), _FORGET_EVERY),
    )
    threads = [threading.Thread(target=_repeat, args=(store, *w, ended), name=w[0], daemon=True) for w in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join(15)


def forget(store: Store, before: float) -> int:
    """Remove submissions that have their batch, and whose callback is done, and return their number.

    Args:
        store: the store.
        before: those that were last written before, POSIX seconds.
    """
    calling = store.names(CALLING)
    old = [f.key for f in store.list_folder(BATCHED).files if f.modified < before]
    chosen = [key for key in old if key.rpartition("/")[2] not in calling]
    for key in chosen:
        store.remove(key)
    return len(chosen)


def _repeat(store: Store, name: str, work: Callable[[], object], every: float, ended: threading.Event) -> None:
    """Repeat a piece of work until the application ends, while no other process of this machine does."""
    reported: str | None = None
    while not ended.is_set():
        with store.batch_lock_if_free(name) as ours:
            while ours and not ended.is_set():
                try:
                    work()
                    reported = None
                except Exception as error:  # the next round may succeed; nothing is lost in between
                    message = f"{type(error).__name__}: {redact_text(first_line(error))}"
                    if message != reported:  # once, not every second
                        log.exception("%s failed and is repeated: %s", name, message)
                    reported = message
                ended.wait(every)
        ended.wait(every)
