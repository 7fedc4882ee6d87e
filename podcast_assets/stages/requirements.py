"""What a stage requires of the machine that it computes on.

It decides whether an asset takes the pool `gpu` (`gpu_pool`), which device a worker holds (`devices`), and where Ray places workers
(`gpu_use`). All of it follows from the stage's engine under a profile, which each stage declares as `engine_of`.
"""

from collections.abc import Sequence
from typing import ClassVar, Protocol

from podcast_assets.engines.engine import Engine, GpuUse
from podcast_assets.stages.profiles import Profile

GPU_POOL = "gpu"
"""Dagster's pool for steps that may compute on a GPU."""


class StageWithEngine(Protocol):
    """A stage class that declares its engine."""

    name: ClassVar[str]

    @staticmethod
    def engine_of(profile: Profile) -> Engine | None:
        """Return the engine that does the stage's work under a profile; None where there is none."""
        ...


def gpu_use(engine: Engine | None) -> GpuUse:
    """Return whether a worker with this engine never computes on a GPU, may do so, or must."""
    return engine.gpu_use() if engine else "never"


def devices(engine: Engine | None) -> list[str]:
    """Return the devices of this machine of which a worker with this engine holds one; none where it computes on CPUs.

    Raises:
        EngineUnavailable: the engine needs a device that it cannot use here.
    """
    return engine.devices() if engine and gpu_use(engine) != "never" else []


def gpu_pool(stages: Sequence[type[StageWithEngine]], profile: Profile) -> str | None:
    """Return the pool of an asset that runs these stages: `gpu` if and only if one of their engines may use a GPU.

    Args:
        stages: all stages that the asset runs, including optional ones.
        profile: the engines that its runs may load on any machine (`profiles.widest_profile`).
    """
    return GPU_POOL if any(gpu_use(stage.engine_of(profile)) != "never" for stage in stages) else None
