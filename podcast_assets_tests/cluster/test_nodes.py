"""Machines that join a cluster, are named, listed and examined, prefer some work, and leave when there is none: a real Ray, whose
machines are processes on this one."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray", reason="the extra `ray` is not installed")

import ray
from ray.cluster_utils import Cluster

from podcast_assets.cli.doctor.nodes import examine_nodes
from podcast_assets.common.errors import Misconfigured
from podcast_assets.config.settings import Settings
from podcast_assets.stages.compute.choose import computing
from podcast_assets.stages.compute.node_agent import has_joined, has_work, process_titles
from podcast_assets.stages.compute.node_labels import labels_of
from podcast_assets.stages.compute.ray_nodes import list_nodes
from podcast_assets.stages.runner import run_stage
from podcast_assets.stages.stage import Episode
from podcast_assets.store.store import Store
from podcast_assets_tests.cluster.scripted import Scripted
from podcast_assets_tests.waiting import wait_for


class Placed(Scripted):
    """Notes the machine on which its worker is loaded."""

    def load(self, device: str | None = None) -> str:
        """Note the machine."""
        self.note("node", ray.get_runtime_context().get_node_id())
        return super().load(device)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without cores, a machine, and one that prefers Chinese."""
    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    found.add_node(num_cpus=1, node_name="plain")
    found.add_node(num_cpus=1, node_name="chinese", labels=labels_of([], ["zh"]))
    ray.init(found.address, log_to_driver=False, configure_logging=False)
    yield found
    ray.shutdown()
    found.shutdown()


def machine_of(cluster: Any, folder: Path, language: str | None) -> str:
    """Name of the machine that a stage's only worker was loaded on."""
    # no machine is full, or the work would go elsewhere
    wait_for("the worker before to be gone", lambda: ray.available_resources().get("CPU") == 2.0, patience=60)
    stage, store = Placed(folder), Store.at(folder / "store")
    settings = Settings(compute="ray", ray_address=cluster.address, max_workers=1)
    episodes = [Episode("e", "e.mp3", 60.0, {"language": language})]
    with computing(stage, settings) as compute:  # type: ignore[arg-type]
        run_stage(stage, "b", episodes, store, compute=compute)  # type: ignore[arg-type]
    (node_id,) = stage.noted("node")
    return next(n.name for n in list_nodes() if n.node_id == node_id)


def test_work_goes_to_the_machine_that_prefers_it_and_other_work_elsewhere(cluster: Any, tmp_path: Path) -> None:
    assert machine_of(cluster, tmp_path / "zh", "zh") == "chinese"
    assert machine_of(cluster, tmp_path / "de", "de") == "plain"
    assert machine_of(cluster, tmp_path / "unknown", None) == "plain"


def test_each_machine_is_examined_where_it_is(cluster: Any) -> None:
    settings = Settings(compute="ray", ray_address=cluster.address, profile="demo")
    reports = examine_nodes(settings, "all", load=False)
    assert sorted(node.name for node, _ in reports) == ["chinese", "plain"]
    assert all("core" in f"{report.findings}" for _, report in reports)
    assert not any(f.what.startswith("DAGSTER_HOME") for _, report in reports for f in report.findings)
    with pytest.raises(Misconfigured, match=r"no machine of the cluster is called nowhere; there are: .*chinese"):
        examine_nodes(settings, "nowhere", load=False)


def test_a_machine_joins_by_name_is_seen_to_work_and_leaves_when_told_to(cluster: Any) -> None:
    command = [sys.executable, "-m", "podcast_assets.cli", "node", "join", "--address", cluster.address]
    joined = subprocess.Popen(
        [*command, "--name", "brief", "--languages", "ja"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        label, value = next(iter(labels_of([], ["ja"]).items()))
        worker: Any = ray.remote(_Worker).options(num_cpus=1, label_selector={label: value}).remote()
        assert ray.get(worker.name.remote(), timeout=90) == "here"
        (node,) = [n for n in list_nodes() if n.name == "brief"]
        assert (node.alive, node.languages) == (True, ["ja"])
        assert has_joined(process_titles(joined.pid))
        assert has_work(process_titles(joined.pid))
        ray.kill(worker)
        wait_for("the worker to end", lambda: not has_work(process_titles(joined.pid)), patience=60)
        joined.terminate()
        _, errors = joined.communicate(timeout=90)
        assert joined.returncode == 0, errors
        assert "this machine leaves the cluster: it was told to" in errors
    finally:
        joined.kill()
    wait_for(
        "the machine to be gone", lambda: [n.alive for n in list_nodes() if n.name == "brief"] == [False], patience=60
    )
    listed = subprocess.run(
        [sys.executable, "-m", "podcast_assets.cli", "node", "list", "--json"],
        env={"PATH": "", "PODCAST_RAY_ADDRESS": cluster.address},
        capture_output=True,
        text=True,
        check=True,
    )
    assert {(n["name"], n["alive"]) for n in json.loads(listed.stdout)} >= {("brief", False), ("plain", True)}


class _Worker:
    def name(self) -> str:
        return "here"
