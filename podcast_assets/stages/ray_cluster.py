"""The Ray cluster that a run computes on: one on this machine, started with the run, or one that is there already."""

import logging
import os
import secrets
import sys
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from podcast_assets.errors import ClusterLost, Misconfigured
from podcast_assets.settings import Settings

PULSE_SECONDS = 5.0
HEAD_SECONDS = 30.0
"""The head of the cluster that does not answer for so long is lost. Ray itself ends this process after 60 s without a word."""

log = logging.getLogger(__name__)


def connect(settings: Settings) -> None:
    """Connect this process to the cluster of the settings, unless it is already. It stays so until the process ends.

    Without an address, Ray starts on this machine: on the loopback interface, with a token of its own.

    Raises:
        Misconfigured: Ray is not installed, or there is no cluster at the address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    alone = (
        settings.ray_address is None and "ray" not in sys.modules
    )  # Ray reads the mode when it is imported, not later
    if alone and os.environ.setdefault("RAY_AUTH_MODE", "token") == "token":
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    try:
        import ray
    except ImportError as error:
        raise Misconfigured(
            f"PODCAST_COMPUTE=ray, but Ray cannot be imported ({error}): pip install 'podcast-assets[ray]'"
        ) from error
    if ray.is_initialized():
        return
    how: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.WARNING, "configure_logging": False}
    if settings.ray_address is None:
        ray.init("local", include_dashboard=False, _node_ip_address="127.0.0.1", **how)
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
    """Asks the head now and then whether it is there."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="pulse")
        self._asked: Future[Any] | None = None
        self._since = time.monotonic()

    def check(self) -> None:
        """Give at once, if all is well.

        Raises:
            ClusterLost: the head does not answer.
        """
        now = time.monotonic()
        if self._asked is None:
            if now - self._since >= PULSE_SECONDS:
                import ray

                self._asked, self._since = self._pool.submit(ray.nodes), now
            return
        if self._asked.done():
            if error := self._asked.exception():
                raise ClusterLost(f"{_LOST} ({_line(error)}). {_NOTHING_LOST}") from error
            self._asked, self._since = None, now
        elif now - self._since > HEAD_SECONDS:
            raise ClusterLost(f"{_LOST} for {HEAD_SECONDS:g} s. {_NOTHING_LOST}")

    def close(self) -> None:
        """Ask no more; an answer that is missing is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)


_LOST = "the head of the Ray cluster does not answer"
_NOTHING_LOST = "What was done is kept: start the run again once there is a cluster."


def _line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
