"""Findings of the examination."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "missing"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check, for people."""

    area: str
    """Under which heading it is told."""
    state: State
    what: str
    todo: str | None = None
    """What to install, set or accept."""
    blocks: bool = False
    """The chosen profile cannot run because of it."""


def first_line(error: BaseException) -> str:
    """First line of an error's message."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
