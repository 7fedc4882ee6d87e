"""Choice of the diarizer by episode: the run's own, unless the metadata of an episode name another."""

import threading
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import SerializeAsAny

from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.engines.engine import Engine, GpuUse
from podcast_assets.speech.types import Audio, Diarization, Diarizer

DIARIZER = "diarizer"
"""Input of the episodes that name a diarizer."""


class DiarizerChoice(Engine):
    """The run's diarizer, and those that episodes may name in its place. An episode depends only on its own."""

    name: ClassVar[str] = "chosen"

    usual: SerializeAsAny[Engine]
    others: tuple[SerializeAsAny[Engine], ...] = ()

    def load(self, device: str | None = None) -> "LoadedDiarizers":
        """Load the run's diarizer; the others are loaded when an episode names them.

        Args:
            device: the device that is held for it, which the others use too.

        Raises:
            EngineUnavailable: the run's diarizer cannot be loaded.
        """
        return LoadedDiarizers(self, device)

    def fetch(self) -> None:
        """Download the model of the run's diarizer.

        Raises:
            EngineUnavailable: it is not available.
        """
        self.usual.fetch()

    def devices(self) -> list[str]:
        """Devices of the run's diarizer."""
        return self.usual.devices()

    def gpu_use(self) -> GpuUse:
        """GPU use of the run's diarizer."""
        return self.usual.gpu_use()

    def for_inputs(self, inputs: Mapping[str, Any]) -> Engine:
        """Return the diarizer of an episode."""
        return next((e for e in self.others if e.name == inputs.get(DIARIZER)), self.usual)

    def identity(self) -> dict[str, Any]:
        """Identity of the run's diarizer."""
        return self.usual.identity()


class LoadedDiarizers:
    """Diarizers of one worker, loaded as episodes need them. Those that are not thread-safe take one episode at a time."""

    def __init__(self, choice: DiarizerChoice, device: str | None) -> None:
        self._device = device
        self._loaded: dict[Engine, Diarizer] = {}
        self._unavailable: dict[Engine, EngineUnavailable] = {}
        self._loading = threading.Lock()
        self._usual = choice.usual
        self.thread_safe = not isinstance(self.of(choice.usual), _OneAtATime)
        """Whether several threads gain by using it at once: whether the run's diarizer is thread-safe."""

    def of(self, engine: Engine) -> Diarizer:
        """Return the loaded diarizer of an engine.

        Raises:
            EngineUnavailable: it cannot be loaded here; loading is attempted once.
        """
        with self._loading:
            if engine in self._unavailable:
                raise self._unavailable[engine]
            if engine not in self._loaded:
                try:
                    loaded = engine.load(self._device)
                except EngineUnavailable as error:
                    self._unavailable[engine] = error
                    raise
                self._loaded[engine] = loaded if getattr(loaded, "thread_safe", False) else _OneAtATime(loaded)
            return self._loaded[engine]

    def diarize(self, audio: Audio, *, min_speakers: int | None = None, max_speakers: int | None = None) -> Diarization:
        """Diarize by the run's diarizer."""
        return self.of(self._usual).diarize(audio, min_speakers=min_speakers, max_speakers=max_speakers)


class _OneAtATime:
    """A diarizer that is not thread-safe, behind a lock."""

    def __init__(self, diarizer: Diarizer) -> None:
        self._diarizer, self._lock = diarizer, threading.Lock()

    def diarize(self, audio: Audio, *, min_speakers: int | None = None, max_speakers: int | None = None) -> Diarization:
        with self._lock:
            return self._diarizer.diarize(audio, min_speakers=min_speakers, max_speakers=max_speakers)
