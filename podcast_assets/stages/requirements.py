"""What a stage needs of the machine that it computes on, in one place.

An asset takes the pool `gpu` by it (`gpu_pool`), a worker holds a device by it (`devices`), and Ray places workers by it
(`gpu_use`). All of it follows from the engine that the stage takes of a profile, which each stage declares as `engine_of`.
"""

from collections.abc import Sequence
from typing import ClassVar, Protocol

from podcast_assets.engines.engine import Engine, GpuUse
from podcast_assets.stages.profiles import Profile

GPU_POOL = "gpu"
"""Dagster's pool of the steps that may compute on a GPU."""


class StageWithEngine(Protocol):
    """A stage's class, as far as it says what the stage needs."""

    name: ClassVar[str]

    @staticmethod
    def engine_of(profile: Profile) -> Engine | None:
        """The engine of a profile that does the stage's work; None where the profile or the stage has none."""
        ...


def gpu_use(engine: Engine | None) -> GpuUse:
    """Whether a worker with this engine computes on a GPU."""
    return engine.gpu_use() if engine else "never"


def devices(engine: Engine | None) -> list[str]:
    """Devices of this machine of which a worker with this engine holds one; none where it computes on CPUs.

    Raises:
        EngineUnavailable: the engine needs a device that it cannot use here.
    """
    return engine.devices() if engine and gpu_use(engine) != "never" else []


def gpu_pool(stages: Sequence[type[StageWithEngine]], profile: Profile) -> str | None:
    """The pool of an asset that runs these stages: `gpu` if and only if one of their engines may use a GPU.

    Args:
        stages: all that the asset runs, optional ones too.
        profile: what its runs may load, wherever they are (`profiles.widest_profile`).
    """
    return GPU_POOL if any(gpu_use(stage.engine_of(profile)) != "never" for stage in stages) else None
