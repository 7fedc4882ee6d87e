"""Number and size of a stage's workers on a cluster, and the episodes that each is handed."""

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from podcast_assets.config.settings import Settings
from podcast_assets.stages.requirements import gpu_use
from podcast_assets.stages.stage import Episode, Stage

WORTH_A_WORKER = 300.0
"""Audio for which another worker is started, s: to load a model takes about as long as to process this much audio."""
UNKNOWN_SECONDS = 60.0
"""Assumed length of an episode whose length is not known yet, s."""
PORTION_SECONDS = 1800.0
PORTION_EPISODES = 64
"""Most that a worker is handed at once: if it is lost, what it has in hand is processed again."""


@dataclass(frozen=True)
class Workforce:
    """The workers of a stage on a cluster."""

    least: int
    most: int
    cpus: float
    """CPU cores per worker."""
    gpus: float
    """GPUs per worker, or its share of one."""

    @property
    def shares(self) -> bool:
        """Whether several share a GPU."""
        return 0 < self.gpus < 1


def workforce(stage: Stage, settings: Settings, resources: Mapping[str, float]) -> Workforce:
    """Return the workers that a stage gets.

    Args:
        stage: its workers take GPUs if its engine requires one, or may use one and the cluster has some or the profile is `gpu`.
        settings: least and most workers, cores per worker, workers per GPU.
        resources: CPU and GPU of the cluster, as Ray counts them.
    """
    gpus = 1 / settings.workers_per_gpu if _takes_gpu(stage, settings, resources) else 0.0
    fitting = int(resources.get("CPU", 0) / settings.worker_cpus)
    if gpus:
        fitting = min(fitting, int(resources.get("GPU", 0) * settings.workers_per_gpu))
    most = max(settings.max_workers or fitting, settings.min_workers)
    return Workforce(settings.min_workers, most, settings.worker_cpus, gpus)


def _takes_gpu(stage: Stage, settings: Settings, resources: Mapping[str, float]) -> bool:
    use = gpu_use(stage.engine)
    if use == "optional":
        return resources.get("GPU", 0) > 0 or settings.profile == "gpu"
    return use == "required"


def workers_worth_starting(waiting: Iterable[Episode], held: int, force: Workforce) -> int:
    """Return how many workers are worth starting.

    Args:
        waiting: episodes that no worker has yet.
        held: episodes that workers have in hand.
        force: least and most workers.
    """
    seconds = sum(e.seconds or UNKNOWN_SECONDS for e in waiting)
    if not seconds and not held:
        return 0
    return min(max(math.ceil(seconds / WORTH_A_WORKER), force.least), force.most)


def take_portion(waiting: deque[Episode], workers: int) -> Sequence[Episode]:
    """Take the next episodes for one worker: fewer and fewer, so that all workers end at about the same time.

    (Guided self-scheduling, Polychronopoulos & Kuck 1987: a share of what is left.)
    """
    left = sum(e.seconds or UNKNOWN_SECONDS for e in waiting)
    budget = min(left / (2 * max(workers, 1)), PORTION_SECONDS)
    taken: list[Episode] = []
    while waiting and len(taken) < PORTION_EPISODES:
        seconds = waiting[0].seconds or UNKNOWN_SECONDS
        if taken and seconds > budget:
            break
        budget -= seconds
        taken.append(waiting.popleft())
    return taken
