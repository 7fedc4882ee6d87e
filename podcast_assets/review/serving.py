"""Serve the application in this process, until it is asked to end."""

import getpass
import logging
import os
import signal
import threading
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI
from sqlalchemy import Engine

from podcast_assets.common.errors import BadInput
from podcast_assets.review.accounts import User, add_user, list_users

log = logging.getLogger(__name__)

LOOPBACK = ("127.0.0.1", "::1", "localhost")
_GRACE = 10
"""Seconds that requests may still take when the server ends."""
_PARENT = 1.0
"""Seconds between looks whether the parent process lives."""


def serve(app: FastAPI, host: str, port: int, ready: Callable[[], None], *, parent: int | None = None) -> None:
    """Serve an application until SIGINT or SIGTERM.

    Args:
        app: the application.
        host: address to listen at.
        port: port to listen at.
        ready: called once it listens.
        parent: id of the process that started this one: end when it has ended, as it may have while this one began.

    Raises:
        SystemExit: it cannot listen there; uvicorn has said why.
    """
    # requests are not logged: their addresses hold what people search for, and secrets of login links
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        access_log=False,
        log_level="warning",
        proxy_headers=False,  # the application looks at them itself
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
    )
    server = _Server(config, ready)
    if parent is not None:
        threading.Thread(target=_end_with_parent, args=(parent,), name="parent", daemon=True).start()
    server.run()


def first_admin(engine: Engine) -> User:
    """Return the first admin who is not disabled; on a machine of one's own, make one of the name that one has there."""
    admin = next((user for user in list_users(engine) if user.role == "admin" and not user.disabled), None)
    if admin is not None:
        return admin
    try:
        return add_user(engine, getpass.getuser(), None, "admin")
    except (BadInput, OSError) as error:  # such a name is not allowed or taken, or the user has none
        log.info("the user is called admin: %s", error)
        return add_user(engine, "admin", None, "admin")


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: object = None) -> None:
        await super().startup(sockets)  # type: ignore[arg-type]
        if self.started:
            self._ready()


def _end_with_parent(parent: int) -> None:
    """Ask this process to end once it has another parent."""
    ended = threading.Event()
    while os.getppid() == parent:
        ended.wait(_PARENT)
    os.kill(os.getpid(), signal.SIGTERM)
