"""Warnings about a file: what worked, but deserves a look."""

from dataclasses import dataclass

KINDS: dict[str, str] = {
    "channel_taken": "the channels cancel each other out, as where one is inverted: one was taken instead of their mix",
    "channels_cancel": "the channels cancel each other out in part, and none of them has all of the audio: their mix was taken",
    "tracks_left_out": "the file has several audio tracks, and not all of them were taken",
    "tracks_unknown": "the metadata column tracks has a value that is not known",
}
"""Kind of a warning → what it means, for the documentation."""


@dataclass(frozen=True, slots=True)
class FileWarning:
    """A warning about one file of a batch."""

    kind: str
    """A key of `KINDS`."""
    message: str
    """One line for people."""
