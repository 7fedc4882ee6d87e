"""What a stage is: the work that one asset does on each episode."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import polars as pl

from podcast_assets.engines import Engine
from podcast_assets.fingerprint import fingerprint
from podcast_assets.schema import Columns


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


class Stage(Protocol):
    """A stage: how to load its worker once, prepare an episode in a thread, and process it.

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

    def load(self, device: str | None = None) -> Any:
        """The worker: models loaded, on the device that is held for it. Called once, and only if there is an episode to do."""
        ...

    def outputs(self, episode: Episode) -> list[str]:
        """Keys of the files that it writes for an episode beside its rows: where one is gone, the episode is done again."""
        ...

    def prepare(self, episode: Episode) -> Any:
        """What can be done ahead of the worker, in a thread: fetch and decode."""
        ...

    def process(self, worker: Any, episode: Episode, prepared: Any) -> pl.DataFrame:
        """The rows of one episode, without the columns that say what made them (the runner adds those).

        Raises:
            BadInput: the data are at fault; the episode becomes a permanent failure.
        """
        ...


def stage_fingerprint(stage: Stage, episode: Episode) -> str:
    """What determines the result of a stage for an episode."""
    engine = stage.engine.identity() if stage.engine else None
    return fingerprint(stage=stage.name, version=stage.version, engine=engine, **episode.inputs)


def made_with(stage: Stage) -> str:
    """Code version, engine settings, model hash and package versions as JSON, for the provenance."""
    engine = stage.engine
    return json.dumps(
        {
            "stage": stage.name,
            "version": stage.version,
            **(engine.identity() | {"settings": engine.model_dump(mode="json")} if engine else {}),
            "packages": engine.versions() if engine else {},
        },
        sort_keys=True,
    )
