"""Warnings about a file: what worked, but deserves a look."""

from dataclasses import dataclass

KINDS: dict[str, str] = {
    "gaps_filled": "the container leaves out some audio; silence fills the gaps, so that later times are right",
    "late_start": "the audio begins after the start of the file, as its video does; silence fills that time",
    "wrong_clock": "timestamps jump or overlap and were not followed there; times after that may not fit the video",
    "wrong_header": "the header declares another duration or size than the file has; all that the file holds was read",
}
"""Kind of a warning → what it means, for the documentation."""


@dataclass(frozen=True, slots=True)
class FileWarning:
    """A warning about one file of a batch."""

    kind: str
    """A key of `KINDS`."""
    message: str
    """One line for people."""
