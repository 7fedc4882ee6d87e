"""When the head of a cluster counts as lost: it is a real socket here, that listens or does not."""

import socket
import time

import pytest

from podcast_assets.common.errors import ClusterLost
from podcast_assets.stages.compute import ray_cluster
from podcast_assets.stages.compute.ray_cluster import Pulse


def test_one_look_in_vain_after_a_long_pause_is_no_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "PULSE_SECONDS", 0.0)
    monkeypatch.setattr(ray_cluster, "HEAD_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as head:
        port = head.getsockname()[1]
        pulse = Pulse(f"127.0.0.1:{port}")
        pulse.check()
    time.sleep(0.5)  # a batch is written down, and nobody looks
    pulse.check()
    assert not pulse.lost
    with socket.create_server(("127.0.0.1", port)):
        time.sleep(0.5)
        pulse.confirm()
    assert not pulse.lost


def test_a_head_that_stays_away_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "HEAD_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as head:
        pulse = Pulse(f"127.0.0.1:{head.getsockname()[1]}")
        pulse.confirm()
    with pytest.raises(ClusterLost, match="the head of the Ray cluster does not answer"):
        pulse.confirm()
    assert pulse.lost


def test_through_ray_client_nobody_looks() -> None:
    Pulse(None).confirm()
