"""How many workers a stage gets on a cluster, what each takes, and which episodes one is handed."""

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from podcast_assets.config.settings import Settings
from podcast_assets.stages.requirements import gpu_use
from podcast_assets.stages.stage import Episode, Stage

WORTH_A_WORKER = 300.0
"""Audio for which another worker is started, s: to load a model takes some seconds, to work off so much audio as well."""
UNKNOWN_SECONDS = 60.0
"""Length that an episode counts with before it is known."""
PORTION_SECONDS = 1800.0
PORTION_EPISODES = 64
"""Most that a worker is handed at once: what it has in hand is done again if it is lost."""


@dataclass(frozen=True)
class Workforce:
    """Workers of a stage."""

    least: int
    most: int
    cpus: float
    """CPU cores of each."""
    gpus: float
    """GPUs of each, or the share of one."""

    @property
    def shares(self) -> bool:
        """Whether several share a GPU."""
        return 0 < self.gpus < 1


def workforce(stage: Stage, settings: Settings, resources: Mapping[str, float]) -> Workforce:
    """The workers of a stage.

    Args:
        stage: it takes GPUs if its engine may use one and there are some, or the profile says so.
        settings: numbers and shares.
        resources: of the cluster, as Ray tells them: CPU, GPU.
    """
    gpus = 1 / settings.workers_per_gpu if _takes_gpu(stage, settings, resources) else 0.0
    room = int(resources.get("CPU", 0) / settings.worker_cpus)
    if gpus:
        room = min(room, int(resources.get("GPU", 0) * settings.workers_per_gpu))
    most = max(settings.max_workers or room, settings.min_workers)
    return Workforce(settings.min_workers, most, settings.worker_cpus, gpus)


def _takes_gpu(stage: Stage, settings: Settings, resources: Mapping[str, float]) -> bool:
    use = gpu_use(stage.engine)
    if use == "optional":
        return resources.get("GPU", 0) > 0 or settings.profile == "gpu"
    return use == "required"


def wanted(waiting: Iterable[Episode], held: int, force: Workforce) -> int:
    """Workers that the work is worth; `held` episodes are in the hands of some already."""
    seconds = sum(e.seconds or UNKNOWN_SECONDS for e in waiting)
    if not seconds and not held:
        return 0
    return min(max(math.ceil(seconds / WORTH_A_WORKER), force.least), force.most)


def portion(waiting: deque[Episode], workers: int) -> Sequence[Episode]:
    """Take the next episodes for one of so many workers: less and less, so that all end at about the same time.

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
