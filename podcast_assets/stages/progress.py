"""How far a stage is, in the units that people plan with."""

import datetime
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """State of a stage after an episode."""

    stage: str
    batch: str
    last: str
    """Name of the episode that was just done."""
    done: int
    failed: int
    total: int
    """Episodes to do in this run; those taken from checkpoints are not among them."""
    audio_seconds: float
    """Audio done in this run, s."""
    audio_left: float
    """Audio to be done, s."""
    elapsed: float
    """Time since the stage began, s."""

    @property
    def speed(self) -> float:
        """Seconds of audio per second; 0 before the first."""
        return self.audio_seconds / self.elapsed if self.elapsed > 0 else 0.0

    @property
    def seconds_left(self) -> float:
        """Estimated time to go, s: by audio where its length is known, else by episodes."""
        if self.speed > 0:
            return self.audio_left / self.speed
        handled = self.done + self.failed
        return self.elapsed / handled * (self.total - handled) if handled else 0.0

    def __str__(self) -> str:
        """One line for a log or a terminal."""
        handled = self.done + self.failed
        failed = f", {self.failed} failed" if self.failed else ""
        speed = f", {self.audio_seconds / 3600:.2f} h at {self.speed:.1f} x real time" if self.audio_seconds else ""
        left = f", {datetime.timedelta(seconds=round(self.seconds_left))} left" if handled < self.total else ""
        return f"{self.batch}: {self.stage} {handled} of {self.total}{failed}{speed}{left} ({self.last})"


Report = Callable[[Progress], None]
