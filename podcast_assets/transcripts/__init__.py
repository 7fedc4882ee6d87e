"""Transcripts of whole episodes that people and programs read.

Total over every input: no segments, empty texts, words without times, times that are missing or overlap, texts that look like
markup all give a valid file.
"""

from collections.abc import Callable, Mapping, Sequence

from podcast_assets.transcripts.data import as_json, as_rttm
from podcast_assets.transcripts.pages import clock, markdown, text, timestamped, word_level
from podcast_assets.transcripts.spoken import Row, Speech
from podcast_assets.transcripts.subtitles import srt, vtt

__all__ = [
    "FORMATS",
    "as_json",
    "as_rttm",
    "clock",
    "markdown",
    "render",
    "srt",
    "text",
    "timestamped",
    "vtt",
    "word_level",
]

FORMATS: Mapping[str, Callable[[Row, Speech, str | None], str]] = {
    "md": lambda episode, segments, note: markdown(episode, segments, note=note),
    "timestamps.md": lambda episode, segments, note: timestamped(episode, segments, note=note),
    "words.md": lambda episode, segments, note: word_level(episode, segments, note=note),
    "json": lambda episode, segments, note: as_json(episode, segments),
    "srt": lambda episode, segments, note: srt(segments),
    "vtt": lambda episode, segments, note: vtt(segments),
    "txt": lambda episode, segments, note: text(segments),
    "rttm": lambda episode, segments, note: as_rttm(episode, segments),
}
"""Suffix of the file → what makes its content."""


def render(episode: Row, segments: Sequence[Row], *, note: str | None = None) -> dict[str, str]:
    """An episode's transcript in every format, by suffix.

    Args:
        episode: row of `raw_audio`.
        segments: its segments with their texts.
        note: what readers should know of how it was made.
    """
    speech = Speech.of(segments)
    return {suffix: make(episode, speech, note) for suffix, make in FORMATS.items()}
