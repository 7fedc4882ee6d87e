"""Transcripts of whole episodes that people and programs read: Markdown and JSON.

Total over every input: no segments, empty texts and words without times all give a valid file.
"""

import json
import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

_MARKUP = re.compile(r"[\\`*<]|(?<!\w)_|_(?!\w)|(?<=\])\(|&(?=#?\w+;)")
"""What Markdown would take for markup in the midst of a line."""

Row = Mapping[str, Any]
"""A segment with its text: start, end (s), speaker, text, words."""


def clock(seconds: float) -> str:
    """`m:ss`, or `h:mm:ss` from an hour on."""
    whole = int(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def markdown(episode: Row, segments: Sequence[Row], *, note: str | None = None) -> str:
    """An episode's transcript as Markdown: one paragraph for as long as somebody keeps speaking, with the time it begins.

    Args:
        episode: row of `raw_audio`.
        segments: its segments in order, with their texts.
        note: what readers should know of how it was made.
    """
    languages = sorted({s["language"] for s in segments if s.get("language")})
    speakers = len(_speakers(segments))
    facts = [
        episode.get("podcast"),
        clock(episode["duration"] or 0.0),
        f"{speakers} speaker{'' if speakers == 1 else 's'}",
        ", ".join(languages) or None,
    ]
    lines = [
        f"# {_plain(episode.get('title') or episode['source'])}",
        "",
        " · ".join(_plain(f) for f in facts if f),
        "",
    ]
    if note:
        lines += [f"> {note}", ""]
    for speaker, group in groupby(segments, key=lambda s: s["speaker"]):
        turns = list(group)
        text = _plain(" ".join(t["text"] for t in turns if t["text"]))
        lines += [
            f"**{_plain(speaker or 'unknown speaker')}** [{clock(turns[0]['start'])}] {text or '*(nothing recognized)*'}",
            "",
        ]
    if not segments:
        lines += ["*No speech was found.*", ""]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """A name or text in one line of Markdown that shows as it is."""
    return _MARKUP.sub(lambda found: f"\\{found[0]}", " ".join(text.split()))


def as_json(episode: Row, segments: Sequence[Row]) -> str:
    """An episode's transcript as JSON: what it is, and all its segments with words. Times in seconds."""
    keys = (
        "segment_id start end speaker text language language_probability words avg_logprob no_speech_prob "
        "compression_ratio engine degraded"
    ).split()
    content = {
        "episode_id": episode["episode_id"],
        "source": episode["source"],
        "title": episode.get("title"),
        "podcast": episode.get("podcast"),
        "license": episode.get("license"),
        "duration": episode["duration"],
        "speakers": _speakers(segments),
        "segments": [{k: s[k] for k in keys} for s in segments],
    }
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def _speakers(segments: Sequence[Row]) -> list[str]:
    """Those that are known."""
    return sorted({s["speaker"] for s in segments if s["speaker"] is not None})
