"""What the stages that run an engine have in common."""

from typing import Any

from podcast_assets.engines.engine import Engine
from podcast_assets.stages.stage import Episode, is_thread_safe


class EngineStage:
    """Parts of `Stage` that follow from its engine: the worker is the loaded engine, and rows are all that it writes."""

    engine: Engine
    """A field of the stage."""

    @property
    def cpu_bound(self) -> bool:
        """False: the worker computes one minibatch at a time."""
        return False

    def is_thread_safe(self, worker: Any) -> bool:
        """False unless the worker says so."""
        return is_thread_safe(worker)

    def load(self, device: str | None = None) -> Any:
        """Load the engine."""
        return self.engine.load(device)

    def outputs(self, episode: Episode) -> list[str]:
        """No files beside the rows."""
        return []
