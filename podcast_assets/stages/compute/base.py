"""Interface of what computes a stage: this process, a child of it, or workers of a Ray cluster. The runner does not know which."""

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
    address: str | None = None
    """Address of the machine in its network; None where it has none but the loopback interface."""

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
    """Time that it took, s: its preparation, and its worker's time since the episode before."""
    shared: bool = False
    """Its error was raised for all episodes that the worker had in hand: another one may have caused it."""
    traceback: str | None = None
    """Traceback of its error, where that comes from another process."""


class Compute(Protocol):
    """Loaded workers, for all batches of a run."""

    def stream(self, stage: Stage, episodes: Iterable[Episode]) -> Iterator[EpisodeOutcome]:
        """Yield the outcome of each episode as soon as it is ready, in any order.

        Args:
            stage: the stage whose workers these are, or another one that uses the same worker.
            episodes: episodes to process.

        Raises:
            EngineUnavailable: the engine or its model cannot be loaded.
            BrokenDevice: several workers in a row failed as if their device were broken.
            NoProgress: the stage ended before it took any of the remaining episodes.
        """
        ...
