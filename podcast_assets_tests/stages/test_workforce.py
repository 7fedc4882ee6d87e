"""How many workers a stage gets, what each takes, and what it is handed."""

from collections import deque
from dataclasses import dataclass
from typing import Any

import pytest

from podcast_assets.config.settings import Settings
from podcast_assets.engines.engine import Engine
from podcast_assets.stages.compute.workforce import (
    PORTION_EPISODES,
    Workforce,
    take_portion,
    workers_worth_starting,
    workforce,
)
from podcast_assets.stages.stage import Episode


class AnyEngine(Engine):
    """An engine with a device."""

    device: str


@dataclass
class AnyStage:
    """Of a stage, what is asked."""

    engine: AnyEngine | None


def force(device: str | None, gpus: float, cpus: float = 64, **settings: Any) -> Workforce:
    stage: Any = AnyStage(AnyEngine(device=device) if device else None)
    return workforce(stage, Settings(profile="cpu", **settings), {"CPU": cpus, "GPU": gpus})


def episodes(*seconds: float) -> deque[Episode]:
    return deque(Episode(f"e{i}", f"e{i}.mp3", s) for i, s in enumerate(seconds))


def test_a_gpu_each_on_a_machine_with_eight() -> None:
    assert force("auto", 8, worker_cpus=2) == Workforce(1, 8, 2, 1.0)


def test_two_workers_share_a_gpu() -> None:
    shared = force("cuda", 8, worker_cpus=1, workers_per_gpu=2)
    assert (shared.most, shared.gpus, shared.shares) == (16, 0.5, True)


def test_stages_without_an_engine_take_no_gpu() -> None:
    assert force(None, 8, worker_cpus=4) == Workforce(1, 16, 4, 0.0)
    assert force("cpu", 8, worker_cpus=4).gpus == 0.0


def test_cores_bound_the_workers_as_gpus_do() -> None:
    assert force("auto", 8, cpus=10, worker_cpus=5).most == 2


def test_a_cluster_may_grow_to_what_the_settings_say() -> None:
    assert force("cuda", 0, cpus=0, max_workers=32, min_workers=2, worker_cpus=4) == Workforce(2, 32, 4, 1.0)


@pytest.mark.parametrize(("minutes", "held", "workers"), [(0, 0, 0), (1, 0, 1), (0, 3, 1), (11, 0, 3), (1000, 0, 8)])
def test_no_more_workers_than_the_work_is_worth(minutes: int, held: int, workers: int) -> None:
    waiting = episodes(*[60.0] * minutes)
    assert workers_worth_starting(waiting, held, Workforce(1, 8, 1, 0)) == workers


def test_portions_shrink_towards_the_end_and_lose_nothing() -> None:
    waiting = episodes(*[60.0] * 100)
    sizes, given = [], []
    while waiting:
        part = take_portion(waiting, 4)
        sizes.append(len(part))
        given += part
    assert given == list(episodes(*[60.0] * 100))
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 4 * sizes[-1]
    assert sizes[-1] == 1


def test_what_one_worker_has_in_hand_is_bounded() -> None:
    assert len(take_portion(episodes(*[1.0] * 10_000), 2)) == PORTION_EPISODES
    assert sum(e.seconds for e in take_portion(episodes(*[600.0] * 100), 2)) <= 1800
    assert len(take_portion(episodes(3 * 3600.0, 60.0), 2)) == 1, "an episode longer than that goes alone"
