"""Machines of a cluster that die, are cut off, or are the head: three hosts in network namespaces, with a real Ray."""

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest

pytest.importorskip("ray", reason="the extra `ray` is not installed")

from podcast_assets_tests.cluster.scripted import episodes

ROOT = Path(__file__).parents[2]
HOSTS = ROOT / "tools" / "ray_hosts.sh"
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
COUNT = 60
SECONDS = 0.5
"""Of work for each episode."""


def can_make_hosts() -> bool:
    """Whether this user may make network namespaces with bridges and pairs of interfaces, on this kernel."""
    name = f"podcast-try-{os.getpid()}"
    commands = [
        f"netns add {name}",
        f"-n {name} link add br0 type bridge",
        f"-n {name} link add one type veth peer name other",
    ]
    try:
        made = [subprocess.run(["ip", *c.split()], capture_output=True, check=False).returncode == 0 for c in commands]
    except FileNotFoundError:
        return False
    if made[0]:
        subprocess.run(["ip", "netns", "del", name], check=True)
    return all(made)


pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(
        not can_make_hosts(), reason="network namespaces need root, iproute2, and a kernel with bridges"
    ),
]


def hosts(*arguments: str) -> None:
    ray = str(Path(sys.executable).with_name("ray"))
    subprocess.run([str(HOSTS), *arguments], check=True, timeout=300, env=os.environ | TOKEN | {"RAY": ray})


@pytest.fixture(scope="module")
def cluster() -> Iterator[Path]:
    # the names of Ray's sockets have 107 bytes at most, too few for pytest's folders
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        hosts("down")
        try:
            hosts("up", folder)
            yield Path(folder)
        finally:
            hosts("down")


class Driver:
    """The stage, run on the head's machine; a context manager that ends it if it still runs."""

    def __init__(self, folder: Path, seconds: float = SECONDS, **environment: str) -> None:
        script = json.dumps({"*": f"sleep {seconds}"})
        self.notes = folder / "notes"
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", "ray-head", sys.executable, "-m", "podcast_assets_tests.cluster.driver",
             str(folder), str(COUNT), script],
            cwd=ROOT,
            env=os.environ
            | TOKEN
            | {
                "PODCAST_COMPUTE": "ray",
                "PODCAST_RAY_ADDRESS": "10.77.0.1:6399",
                "PODCAST_MIN_WORKERS": "2",
                "PYTHONPATH": str(ROOT),
            }
            | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self.process:
            self.process.kill()

    def wait_for(self, done: int) -> None:
        """Until so many episodes are done."""
        self._until(lambda: len(list((self.notes / "done").glob("*"))) >= done)

    def _until(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 240
        while not true():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def result(self) -> dict[str, Any]:
        """What it printed."""
        out, err = self.process.communicate(timeout=400)
        assert self.process.returncode == 0, err
        return json.loads(out.splitlines()[-1])


def assert_all_done(result: dict[str, Any]) -> None:
    names = [e.episode_id for e in episodes(COUNT)]
    assert result["done"] == names
    assert result["rows"] == names, "every episode once"
    assert result["failures"] == []


def test_nobody_is_let_in_without_the_token(cluster: Path, tmp_path: Path) -> None:
    with Driver(tmp_path, RAY_AUTH_TOKEN="f" * 64) as stranger:
        _, err = stranger.process.communicate(timeout=200)
    assert stranger.process.returncode == 1
    assert "no Ray cluster answers at PODCAST_RAY_ADDRESS=10.77.0.1:6399" in err
    assert "a cluster with a token wants RAY_AUTH_MODE=token and RAY_AUTH_TOKEN" in err


def test_a_machine_that_dies_costs_what_it_had_in_hand(cluster: Path, tmp_path: Path) -> None:
    with Driver(tmp_path) as driver:
        driver.wait_for(10)
        hosts("kill", "ray-b")
        assert_all_done(driver.result())
    hosts("join", "ray-b", str(cluster))


def test_a_machine_that_is_cut_off_holds_nobody_up(
    cluster: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """The run ends while the machine is still cut off."""
    with Driver(tmp_path) as driver:
        driver.wait_for(10)
        hosts("cut", "ray-a")
        cut = time.monotonic()
        result = driver.result()
    record_property("seconds from the cut to the end", round(time.monotonic() - cut))
    assert_all_done(result)
    hosts("mend", "ray-a")
    hosts("kill", "ray-a")
    hosts("join", "ray-a", str(cluster))


def test_without_its_head_the_run_fails_clearly_and_the_next_does_the_rest(cluster: Path, tmp_path: Path) -> None:
    # longer than it takes to notice: workers go on without the head
    with Driver(tmp_path, seconds=3.0) as driver:
        driver.wait_for(10)
        hosts("behead")
        _, err = driver.process.communicate(timeout=200)
    assert driver.process.returncode == 1, err
    assert "the head of the Ray cluster does not answer" in err
    assert "start the run again once there is a cluster" in err
    hosts("down")
    hosts("up", str(cluster))
    with Driver(tmp_path) as driver:
        result = driver.result()
    assert_all_done(result)
    assert result["ran"] <= COUNT - 10, "what was done is not done again"
