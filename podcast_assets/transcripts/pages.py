"""Transcripts for people: Markdown, and plain text."""

import re
from collections.abc import Sequence
from itertools import groupby

from podcast_assets.common.wording import count_noun
from podcast_assets.transcripts.spoken import Row, TranscriptSegments, TranscriptWord, finite_number, one_line

_MARKUP = re.compile(r"[\\`*<|~$]|(?<![^\W_])_|_(?![^\W_])|(?<=\])[(\[:]|(?<=\[)\^|&(?=#?\w+;)|#(?=#*$)")
"""Characters that Markdown interprets as markup within a line."""

_NOTHING = "*(nothing recognized)*"
UNKNOWN = "unknown speaker"


def format_clock(seconds: float) -> str:
    """Format seconds as `m:ss`, or `h:mm:ss` from an hour on."""
    whole = int(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def to_markdown(episode: Row, segments: Sequence[Row] | TranscriptSegments, *, note: str | None = None) -> str:
    """An episode's transcript as Markdown: one paragraph per speaker turn, with its start time.

    Args:
        episode: row of `raw_audio`.
        segments: its segments with their texts.
        note: note to readers about how it was made.
    """
    speech = TranscriptSegments.of(segments)
    lines = _render_head(episode, speech.rows, note)
    for speaker, group in groupby(speech.spoken, key=lambda s: s.speaker):
        turns = list(group)
        text = escape_markdown(" ".join(t.text for t in turns if t.text))
        lines += [f"**{_speaker(speaker)}** [{format_clock(turns[0].start)}] {text or _NOTHING}", ""]
    return "\n".join(lines)


def to_timestamped_markdown(
    episode: Row, segments: Sequence[Row] | TranscriptSegments, *, note: str | None = None
) -> str:
    """An episode's transcript as Markdown: one line per segment, with when it begins and ends."""
    speech = TranscriptSegments.of(segments)
    lines = _render_head(episode, speech.rows, note)
    lines += [
        f"- [{format_clock(s.start)}\u2013{format_clock(s.end)}] **{_speaker(s.speaker)}:** {escape_markdown(s.text) or _NOTHING}"
        for s in speech.spoken
    ]
    return "\n".join(lines).rstrip("\n") + "\n"


def to_word_level_markdown(
    episode: Row, segments: Sequence[Row] | TranscriptSegments, *, note: str | None = None
) -> str:
    """An episode's transcript as Markdown: a table of words per segment, with their times in seconds and probabilities.

    A segment without words has its text as one.
    """
    speech = TranscriptSegments.of(segments)
    lines = _render_head(episode, speech.rows, note)
    for s in speech.spoken:
        lines += [f"## {s.start:.2f}\u2013{s.end:.2f} s, {_speaker(s.speaker)}", ""]
        words = s.words or ((TranscriptWord(s.text, None, None, None),) if s.text else ())
        lines += ["| start | end | word | probability |", "|--:|--:|---|--:|"] if words else [_NOTHING]
        lines += [
            f"| {_format_figure(w.start)} | {_format_figure(w.end)} | {escape_markdown(w.word)} | {_format_figure(w.probability)} |"
            for w in words
        ]
        lines.append("")
    return "\n".join(lines)


def to_text(segments: Sequence[Row] | TranscriptSegments) -> str:
    """Format a transcript as plain text: one line per speaker turn, with the speaker's name if there are several."""
    with_text = [s for s in TranscriptSegments.of(segments).spoken if s.text]
    several = len({s.speaker for s in with_text}) > 1
    lines = []
    for speaker, group in groupby(with_text, key=lambda s: s.speaker):
        before = f"{speaker or UNKNOWN}: " if several else ""
        lines.append(f"{before}{' '.join(s.text for s in group)}\n")
    return "".join(lines)


def _render_head(episode: Row, segments: Sequence[Row], note: str | None) -> list[str]:
    languages = sorted({one_line(s["language"]) for s in segments if s.get("language")})
    speakers = len({s["speaker"] for s in segments if s.get("speaker") is not None})
    facts = [
        one_line(episode.get("podcast")),
        format_clock(max(finite_number(episode.get("duration")) or 0.0, 0.0)),
        count_noun(speakers, "speaker"),
        ", ".join(languages),
    ]
    title = one_line(episode.get("title")) or one_line(episode.get("source")) or one_line(episode["episode_id"])
    lines = [f"# {escape_markdown(title)}", "", " · ".join(escape_markdown(f) for f in facts if f), ""]
    if note:
        lines += [f"> {note}", ""]
    if not segments:
        lines += ["*No speech was found.*", ""]
    return lines


def _speaker(speaker: str | None) -> str:
    return escape_markdown(speaker or UNKNOWN)


def _format_figure(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def escape_markdown(value: str) -> str:
    """Escape text for one line of Markdown."""
    text = one_line(value)
    return text if text.isalnum() else _MARKUP.sub(r"\\\g<0>", text)
