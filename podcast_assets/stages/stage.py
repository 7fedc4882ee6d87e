"""What a stage is: the work that one asset does on each episode."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import polars as pl

from podcast_assets.common.fingerprint import fingerprint
from podcast_assets.engines.engine import Engine
from podcast_assets.store.schema import Columns


@dataclass(frozen=True)
class Episode:
    """One episode as a stage's work item.

    It holds keys of the store and small rows, never audio, so that any machine can process it.
    """

    episode_id: str
    source: str
    """The name shown to people."""
    seconds: float
    """Length, s; 0 where it is not known yet."""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    """JSON values and frames that the result depends on: all of them go into the fingerprint."""


@dataclass(frozen=True)
class PreparedEpisode:
    """An episode with what `Stage.prepare` returned for it."""

    episode: Episode
    prepared: Any


@dataclass(frozen=True)
class EpisodeResult:
    """What a stage made of an episode."""

    episode: Episode
    rows: pl.DataFrame | Exception
    """Its rows, or why it failed. The runner adds the columns that say what made them where they are missing."""
    fallback: str | None = None
    """What went wrong with the first engine, and which engine was used instead, for people; None where the first one succeeded."""
    retried: bool = False
    """The stage has retried the failed episode as often as it should be: it is not tried again in this run."""


class Stage(Protocol):
    """A stage: loads its worker once, prepares episodes in threads, and processes many of them.

    All of it must be safe to repeat: after a crash an episode may be processed twice.
    """

    name: ClassVar[str]
    version: ClassVar[str]
    """Changes when the code changes its results; then every episode is processed again."""
    columns: ClassVar[Columns]
    """Columns of the rows that the stage makes, as its checkpoints hold them."""
    asset: ClassVar[str]
    """Asset whose table it makes."""

    @property
    def engine(self) -> Engine | None:
        """The engine that does the work, if there is one."""
        ...

    @property
    def cpu_bound(self) -> bool:
        """Whether an episode is CPU work that needs no model: the worker processes one per core at once, in threads.

        Its heavy parts must then release the interpreter's lock, as decoders, encoders and numpy do.
        """
        ...

    def is_thread_safe(self, worker: Any) -> bool:
        """Whether `process_all` may be called by several threads at once, each with one episode.

        Short episodes are then processed one per core at once: their networks are too small to keep several cores busy.
        """
        ...

    def load(self, device: str | None = None) -> Any:
        """Load the worker: its models, on the device that is held for it. Called once, and only if there is an episode to do."""
        ...

    def outputs(self, episode: Episode) -> list[str]:
        """Keys of the files that the stage writes beside an episode's rows: if one is missing, the episode is processed again."""
        ...

    def prepare(self, episode: Episode) -> Any:
        """Do what can be done ahead of the worker, in a thread: fetch and decode."""
        ...

    def smoke_test(self, worker: Any) -> None:
        """Process something small and made up, after a worker like this one failed as if its device were broken.

        Raises:
            Exception: the worker does not work.
        """
        ...

    def process_all(self, worker: Any, work: Iterable[PreparedEpisode]) -> Iterator[EpisodeResult]:
        """Yield the result of each episode as soon as it is ready, in any order.

        Takes no more episodes ahead than it processes together. An error of one episode is its result (`BadInput` where its data
        are at fault: a permanent failure). An error that is raised concerns every episode that was taken and has no result yet.
        """
        ...


class OneByOne:
    """`Stage.process_all` for stages that process one episode after the other."""

    @property
    def cpu_bound(self) -> bool:
        """False: episodes wait for the one worker."""
        return False

    def is_thread_safe(self, worker: Any) -> bool:
        """False unless the worker says so."""
        return is_thread_safe(worker)

    def smoke_test(self, worker: Any) -> None:
        """Do nothing."""

    def process(self, worker: Any, episode: Episode, prepared: Any) -> pl.DataFrame:
        """Return the rows of one episode.

        Raises:
            BadInput: its data are at fault.
        """
        raise NotImplementedError

    def process_all(self, worker: Any, work: Iterable[PreparedEpisode]) -> Iterator[EpisodeResult]:
        """See `Stage`."""
        for item in work:
            try:
                rows = self.process(worker, item.episode, item.prepared)
            except Exception as error:
                yield EpisodeResult(item.episode, error)
            else:
                yield EpisodeResult(item.episode, rows)


def is_thread_safe(worker: Any) -> bool:
    """Whether an engine's worker says, by its attribute `thread_safe`, that several threads may use it at once."""
    return bool(getattr(worker, "thread_safe", False))


def engine_for(stage: Stage, episode: Episode) -> Engine | None:
    """Return the stage's engine, or the part of a composed one, that an episode needs."""
    return stage.engine.for_inputs(episode.inputs) if stage.engine else None


def stage_fingerprint(stage: Stage, episode: Episode) -> str:
    """Return the fingerprint of everything that determines a stage's result for an episode."""
    return stage_fingerprints(stage, [episode])[episode.episode_id]


def stage_fingerprints(stage: Stage, episodes: Iterable[Episode]) -> dict[str, str]:
    """Return the fingerprint of each episode by its id; each engine is identified once."""
    identities: dict[Engine | None, Any] = {None: None}
    found: dict[str, str] = {}
    for episode in episodes:
        engine = engine_for(stage, episode)
        if engine not in identities:
            identities[engine] = engine.identity() if engine else None
        found[episode.episode_id] = fingerprint(
            stage=stage.name, version=stage.version, engine=identities[engine], **episode.inputs
        )
    return found


def episode_seconds(episode: Episode, rows: pl.DataFrame) -> float:
    """Length of an episode, s. Where it was not known before, `ingest` has measured it: its rows have a duration."""
    measured = float(rows["duration"].sum()) if "duration" in rows.columns else 0.0
    return episode.seconds or measured
