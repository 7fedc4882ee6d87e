"""The Ray cluster that a run computes on: one on this machine, started with the run, or one that is there already."""

import logging
import os
import secrets
import socket
import sys
import time
from collections.abc import Mapping
from typing import Any

from podcast_assets.common.errors import ClusterLost, Misconfigured
from podcast_assets.config.settings import Settings

PULSE_SECONDS = 5.0
CONNECT_SECONDS = 3.0
HEAD_SECONDS = 30.0
"""The head of the cluster that does not answer for so long is lost. Ray itself ends this process after 60 s without a word."""

log = logging.getLogger(__name__)


def connect(settings: Settings) -> None:
    """Connect this process to the cluster of the settings, unless it is already. It stays so until the process ends.

    Without an address, Ray starts on this machine, with a token of its own. Its services listen on all interfaces, whatever it is
    told (it takes a loopback address for the machine's own), and let in nobody who does not know the token.

    Raises:
        Misconfigured: Ray is not installed, or there is no cluster at the address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Ray reads the mode when it is imported, not later
    alone = settings.ray_address is None and "ray" not in sys.modules
    if alone and os.environ.setdefault("RAY_AUTH_MODE", "token") == "token":
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    # Ray's own reports an error to the head before it shows it: without a head, never
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
    how: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.WARNING, "configure_logging": False}
    if settings.ray_address is None:
        ray.init("local", include_dashboard=False, **how)
    else:
        try:
            ray.init(settings.ray_address, **how)
        except Exception as error:  # it has no common base: ConnectionError, RuntimeError, ValueError, of gRPC
            raise Misconfigured(
                f"no Ray cluster answers at PODCAST_RAY_ADDRESS={settings.ray_address}: {_line(error)}. From a machine of the "
                "cluster it is host:6379, from elsewhere ray://host:10001; a cluster with a token wants RAY_AUTH_MODE=token and "
                "RAY_AUTH_TOKEN here too."
            ) from error
    log.info("Ray: %s", describe(ray.cluster_resources()))


def describe(resources: Mapping[str, float]) -> str:
    """What a cluster has, in words."""
    nodes = sum(name.startswith("node:") and name != "node:__internal_head__" for name in resources)
    return f"{nodes} machine(s), {resources.get('CPU', 0):g} CPU cores, {resources.get('GPU', 0):g} GPUs"


class Pulse:
    """Looks now and then whether the head is there, by connecting to it.

    Ray's own calls would do, but they hold Python's lock while they wait, and after 60 s end the process without a word of ours.
    """

    def __init__(self, address: str | None) -> None:
        """Nothing is looked at yet.

        Args:
            address: host:port of the head's control service; None where it is not looked at.
        """
        self.lost = False
        """The head did not answer. Whatever asks it for something now may never come back."""
        self._place = address.rpartition(":") if address else None
        self._looked = time.monotonic()
        self._silent_since: float | None = None

    def check(self) -> None:
        """Look, if it is time to.

        Raises:
            ClusterLost: the head has not answered for `HEAD_SECONDS`.
        """
        if time.monotonic() - self._looked >= PULSE_SECONDS:
            self._look()

    def confirm(self) -> None:
        """Look until it answers.

        Raises:
            ClusterLost: the head has not answered for `HEAD_SECONDS`.
        """
        while not self._look():
            time.sleep(1.0)

    def _look(self) -> bool:
        self._looked = time.monotonic()
        if self._place is None:
            return True
        host, _, port = self._place
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS):
                self._silent_since = None
                return True
        except OSError as error:
            # from the first look in vain: nobody looks while a batch is written down
            self._silent_since = self._silent_since or self._looked
            if time.monotonic() - self._silent_since > HEAD_SECONDS:
                self.lost = True
                raise ClusterLost(f"{_LOST} ({error}). {_NOTHING_LOST}") from error
            return False


def head_address(settings: Settings) -> str | None:
    """Where the control service of the cluster listens, host:port; None for Ray Client, which only knows its own server."""
    import ray

    through_client = (settings.ray_address or "").startswith("ray://")
    return None if through_client else ray.get_runtime_context().gcs_address


_LOST = "the head of the Ray cluster does not answer"
_NOTHING_LOST = "What was done is kept: start the run again once there is a cluster."


def _line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
