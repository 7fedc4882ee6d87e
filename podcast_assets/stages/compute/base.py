"""Where a stage computes: in this process, or on the workers of a Ray cluster. The runner does not know which."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from podcast_assets.stages.stage import Episode, EpisodeResult, Stage


@dataclass(frozen=True)
class Place:
    """Where an episode was computed."""

    node: str
    """Name or address of the machine."""
    process: int
    gpu: str | None = None
    """The GPU, as the driver numbers or names it; None on a CPU."""

    @property
    def worker(self) -> str:
        """Name of the process."""
        return f"{self.node}:{self.process}"


@dataclass(frozen=True)
class EpisodeOutcome:
    """What became of an episode."""

    result: EpisodeResult
    place: Place
    seconds: float = 0.0
    """Time that it took: its preparation, and its worker's time since the episode before."""
    shared: bool = False
    """Its error was raised for all that the worker had in hand: it may be another's."""
    traceback: str | None = None
    """Of its error, where that comes from another process."""


class Compute(Protocol):
    """Loaded workers, for all batches of a run."""

    def stream(self, stage: Stage, episodes: Iterable[Episode]) -> Iterator[EpisodeOutcome]:
        """Each episode once, as soon as it is done, in any order.

        Args:
            stage: the one whose workers these are, or another one that takes the same worker.
            episodes: to be done.

        Raises:
            EngineUnavailable: the engine or its model cannot be loaded.
            BrokenDevice: one worker after the other failed as if its device were broken.
            NoProgress: the stage ended before it took any of the episodes that are left.
        """
        ...
