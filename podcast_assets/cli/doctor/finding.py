"""What an examination finds."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "missing"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, for people."""

    area: str
    """Under which heading it is told."""
    state: State
    what: str
    todo: str | None = None
    """What to install, set or accept."""
    blocks: bool = False
    """The chosen profile cannot run because of it."""


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
