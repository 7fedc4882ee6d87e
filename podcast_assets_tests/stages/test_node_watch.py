"""When a machine leaves its cluster, which work it prefers, and that Ray's processes are watched."""

import socket
import sys
import threading
from pathlib import Path

import pytest

from podcast_assets.stages.compute import node_agent
from podcast_assets.stages.compute.node_agent import NodeAgent, has_joined, has_work
from podcast_assets.stages.compute.node_labels import has_preferences, labels_of, placements, preferences_of
from podcast_assets.stages.compute.node_watch import NodeWatch, Patience
from podcast_assets_tests.waiting import free_port

MINUTE = 60.0


def first_reason(patience: Patience, checks: list[tuple[float, bool, bool]]) -> tuple[float, str] | None:
    """Minute and reason of the first check that says to leave."""
    watch = NodeWatch(patience, 0.0)
    for minute, reachable, busy in checks:
        if reason := watch.check(minute * MINUTE, reachable=reachable, busy=busy):
            return minute, reason
    return None


def every_minute(until: int, *, reachable: bool = True, busy: bool = False) -> list[tuple[float, bool, bool]]:
    return [(float(minute), reachable, busy) for minute in range(1, until + 1)]


def test_a_machine_leaves_after_ten_minutes_without_work() -> None:
    assert first_reason(Patience(), every_minute(20)) == (10.0, "there was no work for 10 min")


def test_work_begins_the_time_anew() -> None:
    checks = every_minute(20)
    checks[5] = (6.0, True, True)
    assert first_reason(Patience(), checks) == (16.0, "there was no work for 10 min")


def test_a_machine_that_slept_does_not_leave_because_time_passed() -> None:
    checks = [(1.0, True, False), (500.0, True, False), (501.0, True, False)]
    assert first_reason(Patience(empty_checks=3), checks) == (501.0, "there was no work for 501 min")
    assert first_reason(Patience(empty_checks=4), checks) is None


def test_a_machine_leaves_after_ten_minutes_without_the_head() -> None:
    assert first_reason(Patience(idle_minutes=3), every_minute(20, reachable=False)) == (
        10.0,
        "the head has not answered for 10 min",
    )


def test_a_short_absence_of_the_head_is_no_lack_of_work() -> None:
    checks = [*every_minute(5, reachable=False), (6.0, True, False), (7.0, True, False), (8.0, True, False)]
    assert first_reason(Patience(idle_minutes=4), checks) is None


def test_a_persistent_machine_stays() -> None:
    checks = [*every_minute(50), *((m + 50, False, False) for m, _, _ in every_minute(50))]
    assert first_reason(Patience(persistent=True), checks) is None


def test_workers_go_to_machines_that_prefer_the_language_then_the_engine_then_nothing() -> None:
    labels = labels_of(["faster-whisper"], ["zh"])
    assert preferences_of(labels) == (["faster-whisper"], ["zh"])
    chinese, whisper, nothing, anywhere = placements(["faster-whisper"], ["zh"])
    assert chinese.items() <= labels.items()
    assert whisper.items() <= labels.items()
    ((label, value),) = nothing.items()
    assert value == f"!{labels[label]}"
    assert anywhere == {}
    assert has_preferences(labels)
    assert labels_of([], []) == {}
    assert not has_preferences({})


@pytest.mark.parametrize("name", ["", "a b", "x=y", "a,b", "-x"])
def test_what_cannot_be_a_label_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no name of an engine or a language"):
        labels_of([name], [])


def test_the_agent_leaves_a_head_that_is_gone_and_ends_ray() -> None:
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    patience = Patience(unreachable_minutes=0.2 / MINUTE)
    reason = NodeAgent(sleep, ("127.0.0.1", free_port()), patience, check_seconds=0.1).stay()
    assert reason.startswith("the head has not answered")


def test_the_agent_leaves_a_head_that_has_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_agent, "START_SECONDS", 0.0)
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    with socket.create_server(("127.0.0.1", 0)) as head:
        patience = Patience(idle_minutes=0.2 / MINUTE, empty_checks=2)
        reason = NodeAgent(sleep, ("127.0.0.1", head.getsockname()[1]), patience, check_seconds=0.1).stay()
    assert reason.startswith("there was no work")


def test_ray_is_started_again_where_it_ends_until_the_agent_is_told_to_leave(tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    command = [sys.executable, "-c", f"open({str(starts)!r}, 'a').write('x')"]
    agent = NodeAgent(command, ("127.0.0.1", free_port()), Patience(persistent=True), check_seconds=0.05)

    def leave_after_three() -> None:
        while not starts.exists() or len(starts.read_text()) < 3:
            threading.Event().wait(0.05)
        agent.leave()

    threading.Thread(target=leave_after_three, daemon=True).start()
    assert agent.stay() == "it was told to"


def test_ray_s_own_processes_and_waiting_workers_are_no_work() -> None:
    idle = ["/venv/bin/python", "/venv/ray/raylet", "ray::DashboardAgent", "ray::RuntimeEnvAgent", "ray::IDLE", ""]
    assert has_joined(idle)
    assert not has_joined(idle[:1])
    assert not has_work(idle)
    assert has_work([*idle, "ray::StageWorker.exchange"])
    assert has_work([*idle, "ray::starting"])
