"""What a stage is: the work that one asset does on each episode."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import polars as pl

from podcast_assets.common.fingerprint import fingerprint
from podcast_assets.engines.engine import Engine
from podcast_assets.store.schema import Columns


@dataclass(frozen=True)
class Episode:
    """One episode as a stage gets it.

    It names objects of the store and small rows, never audio, so that any machine can take it.
    """

    episode_id: str
    source: str
    """The name that people know it by."""
    seconds: float
    """Length, s; 0 where it is not known yet."""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    """JSON values and frames that the result depends on: all of them go into the fingerprint."""


@dataclass(frozen=True)
class Ready:
    """An episode with what `Stage.prepare` made of it."""

    episode: Episode
    prepared: Any


@dataclass(frozen=True)
class Done:
    """What a stage made of an episode."""

    episode: Episode
    rows: pl.DataFrame | Exception
    """Its rows, or why it could not be done. Columns that say what made them are added by the runner where they are not there."""
    fallback: str | None = None
    """What went wrong with the first engine, and which took over, for people; None where nothing did."""


class Stage(Protocol):
    """A stage: how to load its worker once, prepare an episode in a thread, and process many.

    All of it must be safe to repeat: after a crash an episode may be done twice.
    """

    name: ClassVar[str]
    version: ClassVar[str]
    """Changes when the code changes its results; then every episode is done again."""
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
        """Whether an episode is CPU work that needs no model: as many are done at once, in threads, as the worker has cores.

        Its heavy parts must then release the interpreter's lock, as decoders, encoders and numpy do.
        """
        ...

    def load(self, device: str | None = None) -> Any:
        """The worker: models loaded, on the device that is held for it. Called once, and only if there is an episode to do."""
        ...

    def outputs(self, episode: Episode) -> list[str]:
        """Keys of the files that it writes for an episode beside its rows: where one is gone, the episode is done again."""
        ...

    def prepare(self, episode: Episode) -> Any:
        """What can be done ahead of the worker, in a thread: fetch and decode."""
        ...

    def smoke_test(self, worker: Any) -> None:
        """Do something small and made up, after a worker like this one failed as if its device were broken.

        Raises:
            Exception: it cannot.
        """
        ...

    def process_all(self, worker: Any, work: Iterable[Ready]) -> Iterator[Done]:
        """Each episode as soon as it is done, in any order; takes no more of them ahead than it computes together.

        An error of one episode is its result (`BadInput` where its data are at fault: a permanent failure). An error that is raised
        concerns every episode that was taken and not given back.
        """
        ...


class OneByOne:
    """`Stage.process_all` of stages that do one episode after the other."""

    @property
    def cpu_bound(self) -> bool:
        """False: episodes wait for the one worker."""
        return False

    def smoke_test(self, worker: Any) -> None:
        """Nothing is tried."""

    def process(self, worker: Any, episode: Episode, prepared: Any) -> pl.DataFrame:
        """The rows of one episode.

        Raises:
            BadInput: its data are at fault.
        """
        raise NotImplementedError

    def process_all(self, worker: Any, work: Iterable[Ready]) -> Iterator[Done]:
        """See `Stage`."""
        for ready in work:
            try:
                rows = self.process(worker, ready.episode, ready.prepared)
            except Exception as error:
                yield Done(ready.episode, error)
            else:
                yield Done(ready.episode, rows)


def engine_for(stage: Stage, episode: Episode) -> Engine | None:
    """The engine, or the part of a composed one, that an episode needs."""
    return stage.engine.for_inputs(episode.inputs) if stage.engine else None


def stage_fingerprint(stage: Stage, episode: Episode) -> str:
    """What determines the result of a stage for an episode."""
    engine = engine_for(stage, episode)
    made_by = engine.identity() if engine else None
    return fingerprint(stage=stage.name, version=stage.version, engine=made_by, **episode.inputs)


def made_with(stage: Stage, engine: Engine | None) -> str:
    """Code version, engine settings, model hash and package versions as JSON, for the provenance."""
    return json.dumps(
        {
            "stage": stage.name,
            "version": stage.version,
            **(engine.identity() | {"settings": engine.model_dump(mode="json")} if engine else {}),
            "packages": engine.versions() if engine else {},
        },
        sort_keys=True,
    )
