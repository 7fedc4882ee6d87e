"""Check of the Ray cluster that stages compute on."""

import importlib.util
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from podcast_assets.cli.doctor.finding import Finding
from podcast_assets.common.errors import Misconfigured, first_line
from podcast_assets.config.settings import Settings
from podcast_assets.stages.compute.ray_cluster import CONNECT_SECONDS, connect, describe

AREA = "Ray"


def examine(settings: Settings) -> list[Finding]:
    """Connect to the cluster and count what it has; nothing if stages compute in the run's own process."""
    if settings.compute != "ray":
        return []
    if importlib.util.find_spec("ray") is None:
        return [Finding(AREA, "missing", "Ray is not installed", "pip install 'podcast-assets[ray]'", blocks=True)]
    address = settings.ray_address
    if address is None:
        return [Finding(AREA, "ok", "each run starts Ray on this machine")]
    if address != "auto" and (trouble := _port_trouble(address)):
        todo = "start the cluster's head, and check the address and the firewall"
        return [Finding(AREA, "missing", f"nothing answers at PODCAST_RAY_ADDRESS={address}: {trouble}", todo, True)]
    try:
        connect(settings)
    except Misconfigured as error:
        what, _, todo = str(error).partition(". ")
        return [Finding(AREA, "missing", what, todo or None, blocks=True)]
    import ray

    try:
        return judge(address, ray.cluster_resources(), ray.nodes(), needs_gpus=settings.profile == "gpu")
    finally:
        ray.shutdown()


def judge(
    address: str, resources: Mapping[str, float], nodes: Sequence[Mapping[str, Any]], *, needs_gpus: bool
) -> list[Finding]:
    """Judge what a cluster has.

    Args:
        address: of the cluster.
        resources: of its machines, as Ray counts them.
        nodes: its machines, alive and dead, as `ray.nodes` lists them.
        needs_gpus: whether the profile needs a GPU.
    """
    what = f"the cluster at {address} answers: {describe(resources)}"
    if needs_gpus and not resources.get("GPU"):
        findings = [Finding(AREA, "missing", f"{what}; the profile needs GPUs", "join a machine with a GPU", True)]
    else:
        findings = [Finding(AREA, "ok", what)]
    if dead := sorted({str(node["NodeManagerHostname"]) for node in nodes if not node["Alive"]}):
        alive = {str(node["NodeManagerHostname"]) for node in nodes if node["Alive"]}
        if lost := [name for name in dead if name not in alive]:
            findings.append(
                Finding(AREA, "warning", f"lost since the head started: {', '.join(lost)}", "ray list nodes says why")
            )
    return findings


def _port_trouble(address: str) -> str | None:
    """Why nothing answers at the host and port of an address; None if something does."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS):
            return None
    except ValueError:
        return "it is not host:port"
    except OSError as error:
        return first_line(error)
