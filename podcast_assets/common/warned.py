"""Warnings about a file: what worked, but deserves a look."""

from dataclasses import dataclass

KINDS: dict[str, str] = {}
"""Kind of a warning → what it means, for the documentation."""


@dataclass(frozen=True, slots=True)
class FileWarning:
    """A warning about one file of a batch."""

    kind: str
    """A key of `KINDS`."""
    message: str
    """One line for people."""
