"""When the head of a cluster counts as lost: it is a real socket here, that listens or does not."""

import socket
from dataclasses import dataclass

import pytest

from podcast_assets.common.errors import ClusterLost
from podcast_assets.stages.compute import ray_cluster
from podcast_assets.stages.compute.ray_cluster import HEAD_SECONDS, PULSE_SECONDS, Pulse
from podcast_assets_tests.waiting import free_port


@dataclass
class Clock:
    """The time as this module's checks see it; nobody sleeps."""

    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(ray_cluster, "time", found)
    return found


def test_one_failed_check_after_a_long_pause_does_not_lose_the_head(clock: Clock) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        pulse = Pulse(f"127.0.0.1:{port}")
        clock.sleep(PULSE_SECONDS)
        pulse.check()
    clock.sleep(2 * HEAD_SECONDS)  # a batch is committed, and nobody checks
    pulse.check()
    assert not pulse.lost
    with socket.create_server(("127.0.0.1", port)):
        clock.sleep(2 * HEAD_SECONDS)
        pulse.confirm()
    assert not pulse.lost


def test_a_head_that_stays_away_is_lost(clock: Clock) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        pulse = Pulse(f"127.0.0.1:{port}")
        pulse.confirm()
    with pytest.raises(ClusterLost, match="the head of the Ray cluster does not answer"):
        pulse.confirm()
    assert pulse.lost


def test_through_ray_client_nobody_looks() -> None:
    Pulse(None).confirm()
