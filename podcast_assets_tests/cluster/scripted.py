"""A stage that does what a script says, in whichever process it runs."""

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from podcast_assets.common.errors import BadInput, EngineUnavailable
from podcast_assets.engines.engine import Engine
from podcast_assets.stages.stage import Episode, EpisodeResult, OneByOne, PreparedEpisode
from podcast_assets.store.schema import SEGMENTS, Columns

COLUMNS = "segment_id episode_id segment_index start end duration speaker overlap flags".split()


class Tool(Engine):
    """An engine without settings."""

    name: ClassVar[str] = "tool"


@dataclass(frozen=True)
class Scripted(OneByOne):
    """One segment per episode, unless the script says otherwise. What happens is noted as files, for the test to see."""

    notes: Path
    script: Mapping[str, str] = field(default_factory=dict)
    """Episode → what happens to it, as "die" or "die once"."""
    loading: str = ""
    """What happens when the model is loaded."""
    beginning: str = ""
    """What happens before `process_all` takes an episode, as where an engine is loaded when it is needed."""
    cpu_bound: bool = False  # type: ignore[override]
    engine: Tool = field(default_factory=Tool)
    name: ClassVar[str] = "scripted"
    version: ClassVar[str] = "1"
    columns: ClassVar[Columns] = SEGMENTS
    asset: ClassVar[str] = "diarized_segments"

    def load(self, device: str | None = None) -> str:
        """Note the process."""
        self.note("load", str(os.getpid()))
        self._happen(self.loading, str(os.getpid()))
        return "worker"

    def outputs(self, episode: Episode) -> list[str]:
        """None."""
        return []

    def prepare(self, episode: Episode) -> int:
        """Nothing."""
        return 0

    def smoke_test(self, worker: str) -> None:
        """Note the process."""
        self.note("smoke", str(os.getpid()))

    def process_all(self, worker: str, work: Iterable[PreparedEpisode]) -> Iterator[EpisodeResult]:
        """One by one."""
        self._happen(self.beginning, str(os.getpid()))
        yield from super().process_all(worker, work)

    def process(self, worker: str, episode: Episode, prepared: int) -> pl.DataFrame:
        """Follow the script."""
        self.note("begun", f"{episode.episode_id}-{os.getpid()}-{time.monotonic_ns()}")
        self._happen(self.script.get(episode.episode_id, self.script.get("*", "")), episode.episode_id)
        self.note("done", episode.episode_id)
        row = [f"{episode.episode_id}-0", episode.episode_id, 0, 0.0, 1.0, 1.0, "A", 0.0, []]
        return pl.DataFrame([row], schema={k: SEGMENTS[k][0] for k in COLUMNS}, orient="row")

    def note(self, what: str, name: str) -> None:
        """Write a note."""
        folder = self.notes / what
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()

    def noted(self, what: str) -> list[str]:
        """Read the notes."""
        folder = self.notes / what
        return sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []

    def _happen(self, what: str, name: str) -> None:
        if what.endswith(" once"):
            what = what.removesuffix(" once")
            first = self.notes / "happened" / f"{what}-{name}"
            if first.exists():
                return
            self.note("happened", first.name)
        self._do(what)

    def _do(self, what: str) -> Any:
        match what.split():
            case []:
                return
            case ["die"]:
                os._exit(1)
            case ["hang"]:
                time.sleep(3600)
            case ["sleep", seconds]:
                time.sleep(float(seconds))
            case ["meet", count]:  # until so many are at work
                while len(self.noted("begun")) < int(count):
                    time.sleep(0.01)
            case ["bad"]:
                raise BadInput("is not audio")
            case ["device"]:
                raise RuntimeError("CUDA error: an illegal memory access was encountered")
            case ["device", "here"]:  # this process' device, once it is, stays broken; only one ever is
                broken = self.noted("broken")
                if not broken:
                    self.note("broken", str(os.getpid()))
                if self.noted("broken") == [str(os.getpid())]:
                    raise RuntimeError("CUDA error: an illegal memory access was encountered")
            case ["fail"]:
                raise RuntimeError("the model file is cut off")
            case ["unavailable"]:
                raise EngineUnavailable("the model 'tool' is not here")
            case _:
                raise ValueError(what)


def episodes(count: int, seconds: float = 60.0) -> list[Episode]:
    """Episodes e000, e001, …"""
    return [Episode(f"e{i:03d}", f"e{i:03d}.mp3", seconds, {"sha256": str(i)}) for i in range(count)]
