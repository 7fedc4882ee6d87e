"""The Ray cluster that a run computes on: started on this machine with the run, or an existing one."""

import logging
import os
import secrets
import socket
import sys
import time
from collections.abc import Mapping
from typing import Any

from podcast_assets.common.errors import ClusterLost, Misconfigured, first_line
from podcast_assets.config.settings import Settings

PULSE_SECONDS = 5.0
CONNECT_SECONDS = 3.0
HEAD_SECONDS = 30.0
"""Time after which a head that does not answer is lost. Ray itself ends this process after 60 s without a message."""

log = logging.getLogger(__name__)


def connect(settings: Settings) -> None:
    """Connect this process to the cluster of the settings, unless it is connected, until the process ends.

    Without an address, Ray starts on this machine with a token of its own. Its services listen on all interfaces, whatever address
    they are given (Ray replaces a loopback address by the machine's own), and refuse clients without the token.

    Raises:
        Misconfigured: Ray is not installed, or there is no cluster at the address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Ray reads the mode only when it is imported
    alone = settings.ray_address is None and "ray" not in sys.modules
    if alone and os.environ.setdefault("RAY_AUTH_MODE", "token") == "token":
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    # Ray's hook reports an error to the head before it prints it: without a head it never prints
    show = sys.excepthook
    try:
        import ray
    except ImportError as error:
        raise Misconfigured(
            f"PODCAST_COMPUTE=ray, but Ray cannot be imported ({error}): pip install 'podcast-assets[ray]'"
        ) from error
    sys.excepthook = show
    if ray.is_initialized():
        return
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.WARNING, "configure_logging": False}
    if settings.ray_address is None:
        ray.init("local", include_dashboard=False, **options)
    else:
        try:
            ray.init(settings.ray_address, **options)
        except Exception as error:  # no common base: ConnectionError, RuntimeError, ValueError, those of gRPC
            raise Misconfigured(
                f"no Ray cluster answers at PODCAST_RAY_ADDRESS={settings.ray_address}: {first_line(error)}. From a machine of "
                "the cluster it is host:6379, from elsewhere ray://host:10001; a cluster with a token wants RAY_AUTH_MODE=token "
                "and RAY_AUTH_TOKEN here too."
            ) from error
    log.info("Ray: %s", describe(ray.cluster_resources()))


def describe(resources: Mapping[str, float]) -> str:
    """Describe what a cluster has."""
    nodes = sum(name.startswith("node:") and name != "node:__internal_head__" for name in resources)
    return f"{nodes} machine(s), {resources.get('CPU', 0):g} CPU cores, {resources.get('GPU', 0):g} GPUs"


class Pulse:
    """Checks now and then that the head answers, by connecting to it.

    Ray's own calls hold the interpreter's lock while they wait, and after 60 s end the process without our message.
    """

    def __init__(self, address: str | None) -> None:
        """Check nothing yet.

        Args:
            address: host:port of the head's control service; None to check nothing.
        """
        self.lost = False
        """The head did not answer. A call to it may never return."""
        self._address = address.rpartition(":") if address else None
        self._checked = time.monotonic()
        self._silent_since: float | None = None

    def check(self) -> None:
        """Check the head, if the last check is long enough ago.

        Raises:
            ClusterLost: the head has not answered for `HEAD_SECONDS`.
        """
        if time.monotonic() - self._checked >= PULSE_SECONDS:
            self._answers()

    def confirm(self) -> None:
        """Check the head until it answers.

        Raises:
            ClusterLost: the head has not answered for `HEAD_SECONDS`.
        """
        while not self._answers():
            time.sleep(1.0)

    def _answers(self) -> bool:
        self._checked = time.monotonic()
        if self._address is None:
            return True
        host, _, port = self._address
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS):
                self._silent_since = None
                return True
        except OSError as error:
            # counted from the first check without an answer: none is made while a batch is committed
            self._silent_since = self._silent_since or self._checked
            if time.monotonic() - self._silent_since > HEAD_SECONDS:
                self.lost = True
                raise ClusterLost(f"{_LOST} ({error}). {_NOTHING_LOST}") from error
            return False


def head_address(settings: Settings) -> str | None:
    """Return host:port of the cluster's control service; None for Ray Client, which only knows its own server."""
    import ray

    through_client = (settings.ray_address or "").startswith("ray://")
    return None if through_client else ray.get_runtime_context().gcs_address


_LOST = "the head of the Ray cluster does not answer"
_NOTHING_LOST = "Finished episodes are kept: start the run again once there is a cluster."
