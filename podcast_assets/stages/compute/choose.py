"""Choice of the compute by the settings."""

import contextlib
from collections.abc import Iterator

from podcast_assets.config.settings import Settings
from podcast_assets.stages.compute.base import Compute
from podcast_assets.stages.compute.child_process import child_compute
from podcast_assets.stages.compute.local import local_compute
from podcast_assets.stages.stage import Stage


@contextlib.contextmanager
def computing(stage: Stage, settings: Settings) -> Iterator[Compute]:
    """Provide what computes a stage in this run, as PODCAST_COMPUTE says. Models are loaded when the first episode needs them.

    Raises:
        Misconfigured: Ray is not installed, or the cluster cannot be reached.
    """
    if settings.compute == "ray":
        from podcast_assets.stages.compute.ray_pool import ray_compute

        with ray_compute(stage, settings) as pool:
            yield pool
    elif settings.timeout is not None and stage.engine is not None:
        with child_compute(stage, settings.prefetch, settings.timeout) as child:
            yield child
    else:
        with local_compute(stage, settings.prefetch) as local:
            yield local
