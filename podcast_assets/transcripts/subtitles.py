"""Subtitles: SubRip (SRT) and WebVTT."""

import re
from collections.abc import Sequence
from html import escape

from podcast_assets.transcripts.cues import Cue, make_cues
from podcast_assets.transcripts.spoken import Row, TranscriptSegments

_SRT_MARKUP = re.compile(
    r"(?<=<)(?=[\s/!a-zA-Z])|(?<=\{)(?=\\)|(?<=--)(?=>)|(?<=\d)(?=:\d+:\d+\s*[.,])|(?<=\\)(?=[Nnh])|^(?=[ \d]+$)"
)
"""Positions where text would be parsed as a tag, a line of times or the number of a cue."""
_JOINER = "\u2060"
"""WORD JOINER, an invisible character without width."""


def to_srt(segments: Sequence[Row] | TranscriptSegments) -> str:
    """Format subtitles as SubRip. If there are several speakers, they are named in the text.

    The format has no escapes, so an invisible character is inserted into text that would be parsed as a tag or a time.
    """
    blocks = [
        "\n".join(
            [
                str(number),
                f"{_format_time(cue.start, ',')} --> {_format_time(cue.end, ',')}",
                *map(_escape_line, cue.lines),
            ]
        )
        for number, cue in enumerate(make_cues(TranscriptSegments.of(segments).spoken, name_speakers=True), start=1)
    ]
    return "\n\n".join([*blocks, ""])


def to_vtt(segments: Sequence[Row] | TranscriptSegments) -> str:
    """Format subtitles as WebVTT, with speakers as voices (https://www.w3.org/TR/webvtt1/)."""
    blocks = [_vtt_block(cue) for cue in make_cues(TranscriptSegments.of(segments).spoken)]
    return "\n\n".join(["WEBVTT", *blocks, ""])


def _vtt_block(cue: Cue) -> str:
    text = "\n".join(escape(line, quote=False) for line in cue.lines)
    voice = f"<v {escape(cue.speaker, quote=False)}>" if cue.speaker else ""
    return f"{_format_time(cue.start, '.')} --> {_format_time(cue.end, '.')}\n{voice}{text}"


def _escape_line(line: str) -> str:
    return _SRT_MARKUP.sub(_JOINER, line)


def _format_time(milliseconds: int, point: str) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}{point}{rest:03d}"
