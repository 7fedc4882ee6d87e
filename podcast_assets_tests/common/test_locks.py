"""Locks between processes: one holder at a time, whatever becomes of it, and a word for those who wait."""

import fcntl
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from podcast_assets.common.locks import file_lock, temporary_file_lock, try_file_lock

WAITING = "waiting for another release"
HOLD = """
import sys, time
from pathlib import Path
from podcast_assets.common.locks import temporary_file_lock
with temporary_file_lock(Path(sys.argv[1]), "waiting"):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "not there yet" / "lock"


def is_free(path: Path) -> bool:
    with try_file_lock(path) as ours:
        return ours


def test_who_waits_is_told_so_and_comes_next(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="podcast_assets.common.locks")
    took: list[str] = []

    def wait() -> None:
        with file_lock(path, WAITING):
            took.append("second")

    second = threading.Thread(target=wait)
    with file_lock(path, WAITING):
        assert caplog.messages == [], "nobody holds it"
        second.start()
        while not caplog.messages and second.is_alive():
            time.sleep(0.01)
        took.append("first")
    second.join()
    assert caplog.messages == [WAITING]
    assert took == ["first", "second"]


def test_whether_it_is_free(path: Path) -> None:
    with file_lock(path, WAITING):
        assert not is_free(path)
    assert is_free(path)
    with pytest.raises(ZeroDivisionError), file_lock(path, WAITING):
        raise ZeroDivisionError
    assert is_free(path)


def test_a_thread_that_would_wait_for_itself_is_told(path: Path) -> None:
    with file_lock(path, WAITING), pytest.raises(RuntimeError, match="Deadlock"), file_lock(path, WAITING):
        pass


def test_a_lock_that_is_removed_has_one_holder_at_a_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its holder may remove the file after another one has opened it, and before that one locks it."""
    inside, most = 0, 0
    flock = fcntl.flock

    def late(file: int, operation: int) -> None:
        if operation & fcntl.LOCK_EX:
            time.sleep(0.02)
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", late)

    def work() -> None:
        nonlocal inside, most
        for _ in range(5):
            with temporary_file_lock(path, WAITING):
                inside += 1
                most = max(most, inside)
                time.sleep(0.005)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert not path.exists()


def test_what_a_killed_holder_leaves_is_taken_and_removed(path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True) as first:
        try:
            assert first.stdout is not None
            assert first.stdout.readline() == "held\n"
            assert not is_free(path)
        finally:
            first.kill()
    assert path.exists()
    with temporary_file_lock(path, WAITING):
        pass
    assert not path.exists()


def test_a_forked_child_does_not_keep_the_lock(path: Path) -> None:
    """As a pool of processes may outlive the block that it was started in."""
    reading, writing = os.pipe()
    with file_lock(path, WAITING):
        if (child := os.fork()) == 0:
            os.read(reading, 1)
            os._exit(0)
    try:
        assert is_free(path)
    finally:
        os.write(writing, b"1")
        os.waitpid(child, 0)
        os.close(reading)
        os.close(writing)
