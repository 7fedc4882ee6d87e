"""One worker on a device at a time, and no lock that outlives its holder."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from podcast_assets.common.errors import is_device_error
from podcast_assets.stages.compute.device import hold_device

HOLD = """
import logging, sys, time
from podcast_assets.stages.compute.device import hold_device
logging.basicConfig(level="INFO", stream=sys.stdout, format="%(message)s")
with hold_device(sys.argv[1:]) as device:
    print(device, flush=True)
    time.sleep(600)
"""


def holder(*devices: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, *devices], stdout=subprocess.PIPE, text=True, env=os.environ | environment
    )


def told(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.fixture
def gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes to be ended, with lock files of their own."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.wait()


def test_a_device_is_held_by_one_process_and_freed_by_its_death(gpus: list[subprocess.Popen[str]]) -> None:
    gpus.append(holder("cuda:0"))
    assert told(gpus[0]) == "cuda:0"
    gpus.append(holder("cuda:0"))
    assert told(gpus[1]) == "waiting for one of the devices cuda:0, which other processes hold"
    gpus[0].kill()
    assert told(gpus[1]) == "cuda:0"


def test_of_several_devices_the_free_one_is_taken(gpus: list[subprocess.Popen[str]]) -> None:
    for expected in ("cuda:0", "cuda:1"):
        gpus.append(holder("cuda:0", "cuda:1"))
        assert told(gpus[-1]) == expected


def test_processes_that_see_different_gpus_do_not_wait_for_each_other(gpus: list[subprocess.Popen[str]]) -> None:
    for physical in ("2", "3"):
        gpus.append(holder("cuda:0", CUDA_VISIBLE_DEVICES=physical))
        assert told(gpus[-1]) == "cuda:0"


def test_no_device_needs_no_lock() -> None:
    with hold_device([]) as first, hold_device([]) as second:
        assert first is second is None


@pytest.mark.parametrize(
    ("error", "device"),
    [
        (RuntimeError("CUDA error: device-side assert triggered"), True),
        (RuntimeError("cuBLAS failed with status CUBLAS_STATUS_NOT_INITIALIZED"), True),
        (RuntimeError("CUDA failed with error out of memory"), False),
        (ValueError("ends after 3 s: the file is truncated"), False),
    ],
)
def test_errors_of_the_device_are_told_from_those_of_an_episode(error: Exception, device: bool) -> None:
    assert is_device_error(error) is device
