"""When a machine that joined a cluster leaves it: it had no work for a while, or the cluster's head is gone."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """How long a machine stays without a reason to."""

    idle_minutes: float = 10.0
    """Minutes without work."""
    empty_checks: int = 3
    """Checks in a row that found no work: a machine that slept does not leave because time passed."""
    unreachable_minutes: float = 10.0
    """Minutes without an answer of the head."""
    persistent: bool = False
    """Whether it stays whatever happens."""


class NodeWatch:
    """Decides, from one check to the next, whether a machine should leave its cluster. Times are seconds of any one clock."""

    def __init__(self, patience: Patience, now: float) -> None:
        self._patience = patience
        self._worked = self._answered = now
        self._empty = 0

    def check(self, now: float, *, reachable: bool, busy: bool) -> str | None:
        """Take note of a check.

        Args:
            now: time of the check.
            reachable: whether the head answers.
            busy: whether the machine has work.

        Returns:
            Why it should leave; None if it should stay.
        """
        if reachable:
            self._answered = now
        if busy:
            self._worked, self._empty = now, 0
        elif reachable:  # a machine that is cut off cannot be given work
            self._empty += 1
        else:
            self._worked, self._empty = now, 0
        if self._patience.persistent:
            return None
        silent, idle = now - self._answered, now - self._worked
        if silent >= 60 * self._patience.unreachable_minutes:
            return f"the head has not answered for {silent / 60:.0f} min"
        if idle >= 60 * self._patience.idle_minutes and self._empty >= self._patience.empty_checks:
            return f"there was no work for {idle / 60:.0f} min"
        return None
