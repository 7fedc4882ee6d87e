"""Transcripts of whole episodes for people and programs.

Every input gives a valid file: no segments, empty texts, words without times, missing or overlapping times, text that looks like
markup.

What belongs here: formats of transcript files. What does not: making the transcripts (`speech`), and reading those of publishers
(`intake.references`).
"""

from collections.abc import Callable, Mapping, Sequence

from podcast_assets.transcripts.data import to_json, to_rttm
from podcast_assets.transcripts.pages import (
    format_clock,
    to_markdown,
    to_text,
    to_timestamped_markdown,
    to_word_level_markdown,
)
from podcast_assets.transcripts.spoken import Row, TranscriptSegments
from podcast_assets.transcripts.subtitles import to_srt, to_vtt

__all__ = [
    "FORMATS",
    "format_clock",
    "render",
    "to_json",
    "to_markdown",
    "to_rttm",
    "to_srt",
    "to_text",
    "to_timestamped_markdown",
    "to_vtt",
    "to_word_level_markdown",
]

FORMATS: Mapping[str, Callable[[Row, TranscriptSegments, str | None], str]] = {
    "md": lambda episode, segments, note: to_markdown(episode, segments, note=note),
    "timestamps.md": lambda episode, segments, note: to_timestamped_markdown(episode, segments, note=note),
    "words.md": lambda episode, segments, note: to_word_level_markdown(episode, segments, note=note),
    "json": lambda episode, segments, note: to_json(episode, segments),
    "srt": lambda episode, segments, note: to_srt(segments),
    "vtt": lambda episode, segments, note: to_vtt(segments),
    "txt": lambda episode, segments, note: to_text(segments),
    "rttm": lambda episode, segments, note: to_rttm(episode, segments),
}
"""Suffix of the file → function that renders its content."""


def render(episode: Row, segments: Sequence[Row], *, note: str | None = None) -> dict[str, str]:
    """Render an episode's transcript in every format, by suffix.

    Args:
        episode: row of `raw_audio`.
        segments: its segments with their texts.
        note: note to readers about how it was made.
    """
    speech = TranscriptSegments.of(segments)
    return {suffix: make(episode, speech, note) for suffix, make in FORMATS.items()}
