"""Warnings about the files of a batch: what did not work, or worked but deserves a look."""

from dataclasses import dataclass

KINDS: dict[str, str] = {
    "failed": "the file is not in the dataset: a stage failed on it",
    "archive_broken": "the archive was unpacked only in part, or not at all",
    "row_unreadable": "a row of a list of URLs cannot be read, or has no URL",
    "metadata_failed": "the metadata file cannot be read, so its rows are missing",
    "metadata_joined_nothing": "no id of the metadata file names a recording beside or below it",
    "metadata_missing": "the recording has no row in the metadata of its batch, although others have",
    "transcript_unavailable": "a transcript that the publisher offers is not available, or cannot be read",
    "feeds_damaged": "the list of feeds is damaged, and some of its feeds may be missing",
    "wrong_header": "the header declares another duration or size than the file has; all that the file holds was read",
    "gaps_filled": "the container leaves out some audio; silence fills the gaps, so that later times are right",
    "late_start": "the audio begins after the start of the file, as its video does; silence fills that time",
    "wrong_clock": "timestamps jump or overlap and were not followed there; times after that may not fit the video",
    "channel_taken": "the channels cancel each other out, as where one is inverted: one was taken instead of their mix",
    "channels_cancel": "the channels cancel each other out in part, and none of them has all of the audio: their mix was taken",
    "tracks_left_out": "the file has several audio tracks, and not all of them were taken",
    "tracks_unknown": "the metadata column tracks has a value that is not known",
    "no_speech": "no speech was found in the recording; it is done, and gives no samples",
    "no_words": "speech was found in the recording, but no words",
    "uncovered_speech": "some speech has no words, also after it was transcribed again",
    "untranscribed": "no engine could transcribe some of the speech",
    "no_speakers": "the diarizer failed: speech was found, but not who speaks",
    "fallback": "the first engine failed on some of the recording, and another took over",
    "optional_failed": "an optional stage failed; the recording is in the dataset without its result",
    "skipped": "the file is no episode, or one that is in the batch already",
}
"""Kind of a warning → what it means, for the documentation, in the order in which they are listed."""


@dataclass(frozen=True, slots=True)
class FileWarning:
    """A warning about one file of a batch."""

    kind: str
    """A key of `KINDS`."""
    message: str
    """One line for people."""


@dataclass(frozen=True, slots=True)
class BatchWarning:
    """A warning about one file of a batch, with the name of the file."""

    kind: str
    """A key of `KINDS`."""
    source: str
    """Name of the file in its batch."""
    message: str
    """One line for people."""
