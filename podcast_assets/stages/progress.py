"""Progress of a stage: episodes, hours of audio, speed and time left."""

import datetime
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl

from podcast_assets.stages.compute.base import Place
from podcast_assets.stages.stage import Episode, episode_seconds


@dataclass(frozen=True)
class Progress:
    """State of a stage when it begins, and after an episode."""

    stage: str
    batch: str
    last: str
    """Name of the episode that was just handled; empty before the first."""
    done: int
    failed: int
    total: int
    """Episodes to do in this run; those with an earlier result are not among them."""
    audio_seconds: float
    """Audio done in this run, s."""
    audio_left: float
    """Audio to be done, s."""
    elapsed: float
    """Time since the stage began, s."""
    bytes_downloaded: int = 0
    """In this run."""
    place: Place | None = None
    """Where the last episode was computed."""

    @property
    def speed(self) -> float:
        """Seconds of audio per second; 0 before the first."""
        return self.audio_seconds / self.elapsed if self.elapsed > 0 else 0.0

    @property
    def seconds_left(self) -> float:
        """Estimated time left, s: by audio where its length is known, else by episodes."""
        if self.speed > 0:
            return self.audio_left / self.speed
        handled = self.done + self.failed
        return self.elapsed / handled * (self.total - handled) if handled else 0.0

    def __str__(self) -> str:
        """One line for a log or a terminal."""
        handled = self.done + self.failed
        failed = f", {self.failed} failed" if self.failed else ""
        speed = f", {self.audio_seconds / 3600:.2f} h at {self.speed:.1f} x real time" if self.audio_seconds else ""
        size = f", {self.bytes_downloaded / 1e6:.1f} MB in {self.elapsed:.0f} s" if self.bytes_downloaded else ""
        left = f", {datetime.timedelta(seconds=round(self.seconds_left))} left" if handled < self.total else ""
        return f"{self.batch}: {self.stage} {handled} of {self.total}{failed}{speed}{size}{left} ({self.last})"


Report = Callable[[Progress], None]
"""Called with the progress when a stage begins, and after each episode."""


class ProgressCounter:
    """Counts the episodes of a stage as they are done or fail."""

    def __init__(self, stage: str, batch: str, todo: Sequence[Episode]) -> None:
        """Start the clock.

        Args:
            stage: name of the stage.
            batch: the batch.
            todo: episodes to do in this run.
        """
        self._stage, self._batch, self._total = stage, batch, len(todo)
        self._began = time.monotonic()
        self._done = self._failed = self._bytes = 0
        self._audio_left = sum(e.seconds for e in todo)
        self.audio_seconds = 0.0
        """Audio done so far, s."""

    def begun(self) -> Progress:
        """Return the state before the first episode, which may take hours."""
        return self._state(None, None)

    def done(self, episode: Episode, rows: pl.DataFrame, place: Place | None = None) -> Progress:
        """Count an episode that is done, with the rows that the stage made of it, and where it did."""
        self._done += 1
        self.audio_seconds += episode_seconds(episode, rows)
        self._bytes += int(rows["bytes_downloaded"].sum() or 0) if "bytes_downloaded" in rows.columns else 0
        return self._state(episode, place)

    def failed(self, episode: Episode, place: Place | None = None) -> Progress:
        """Count an episode that failed, and where it did."""
        self._failed += 1
        return self._state(episode, place)

    def _state(self, last: Episode | None, place: Place | None) -> Progress:
        self._audio_left -= last.seconds if last else 0.0
        return Progress(
            stage=self._stage,
            batch=self._batch,
            last=last.source if last else "",
            done=self._done,
            failed=self._failed,
            total=self._total,
            audio_seconds=self.audio_seconds,
            audio_left=self._audio_left,
            elapsed=time.monotonic() - self._began,
            bytes_downloaded=self._bytes,
            place=place,
        )
