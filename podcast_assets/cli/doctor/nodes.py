"""Checks of the machines of a Ray cluster, each made by a task on that machine."""

import importlib.metadata
from collections.abc import Sequence
from typing import Any

from podcast_assets.cli.doctor import DoctorReport, examine
from podcast_assets.cli.doctor.finding import Finding
from podcast_assets.common.errors import Misconfigured, first_line
from podcast_assets.config.settings import Settings
from podcast_assets.stages.compute.ray_cluster import connect
from podcast_assets.stages.compute.ray_nodes import Node, ask_nodes, list_nodes

ALL = "all"
_SECONDS = 180.0
"""Time limit: loading all engines of a profile takes up to a minute, and the hub some seconds."""


def examine_nodes(settings: Settings, name: str, *, load: bool = True) -> list[tuple[Node, DoctorReport]]:
    """Check machines of the cluster for the profile of these settings.

    Args:
        settings: settings of the runs.
        name: of one machine, or its address; "all" for all but the head that offers no cores.
        load: also load the engines whose models are on the machine.

    Raises:
        Misconfigured: there is no cluster, or it has no such machine.
    """
    if settings.ray_address is None:
        raise Misconfigured(
            "PODCAST_RAY_ADDRESS is not set, so that there are no other machines: leave out --node to check this one"
        )
    connect(settings)
    chosen = _choose(list_nodes(), name)
    answers = ask_nodes(chosen, _examine_here, settings, load, seconds=_SECONDS)
    return [(node, _report(node, answer)) for node, answer in zip(chosen, answers, strict=True)]


def _choose(nodes: Sequence[Node], name: str) -> list[Node]:
    alive = [n for n in nodes if n.alive]
    chosen = (
        [n for n in alive if n.cpus or n.gpus] if name == ALL else [n for n in alive if name in (n.name, n.address)]
    )
    if not chosen:
        known = ", ".join(n.name for n in alive)
        offline = " (it left the cluster)" if any(name == n.name for n in nodes) else ""
        raise Misconfigured(f"no machine of the cluster is called {name}{offline}; there are: {known}")
    return chosen


def _examine_here(settings: Settings, load: bool) -> tuple[str, DoctorReport]:
    """Return the version and the report of the machine that this runs on."""
    return importlib.metadata.version("podcast-assets"), examine(settings, load=load, runs=False)


def _report(node: Node, answer: Any) -> DoctorReport:
    if isinstance(answer, Exception):
        return DoctorReport(None, [Finding("machine", "missing", first_line(answer), None, blocks=True)])
    version, report = answer
    own = importlib.metadata.version("podcast-assets")
    if version == own:
        return report
    differs = Finding(
        "Python",
        "missing",
        f"podcast-assets {version} there, {own} here",
        f"install the same version on {node.name}",
        blocks=True,
    )
    return DoctorReport(report.profile, [differs, *report.findings], report.settings)
