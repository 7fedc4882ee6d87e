"""One worker on a device at a time, and no lock that outlives its holder."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from podcast_assets.stages.device import device_lock, looks_like_device_error

HOLD = """
import sys, time
from podcast_assets.stages.device import device_lock
with device_lock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_device_is_held_by_one_process_and_freed_by_its_death(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    device = f"cuda:{time.time_ns()}"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, device], stdout=subprocess.PIPE, text=True)
    waiter = None
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        waiter = subprocess.Popen([sys.executable, "-c", HOLD, device], stdout=subprocess.PIPE, text=True)
        with pytest.raises(subprocess.TimeoutExpired):
            waiter.wait(timeout=3)
        holder.kill()
        assert waiter.stdout is not None
        assert waiter.stdout.readline() == "held\n"
    finally:
        for process in (holder, waiter):
            if process is not None:
                process.kill()
                process.wait()


def test_no_device_needs_no_lock() -> None:
    with device_lock(None), device_lock(None):
        pass


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
    assert looks_like_device_error(error) is device
