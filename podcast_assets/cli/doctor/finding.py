"""Findings of `podcast-assets doctor`."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "missing"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check."""

    area: str
    """Heading of its section in the report."""
    state: State
    what: str
    """What was found."""
    todo: str | None = None
    """How to fix it: what to install, set or accept."""
    blocks: bool = False
    """Whether it keeps the chosen profile from running."""
