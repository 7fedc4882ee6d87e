"""Transcripts for programs: JSON with all details, and RTTM with the speaker turns."""

import json
import math
from collections.abc import Sequence
from typing import Any

from podcast_assets.speech.rttm import format_rttm
from podcast_assets.speech.types import Turn
from podcast_assets.transcripts.spoken import Row, TranscriptSegments

_KEYS = (
    "segment_id start end speaker text language language_probability words avg_logprob no_speech_prob "
    "compression_ratio engine degraded"
).split()


def to_json(episode: Row, segments: Sequence[Row] | TranscriptSegments) -> str:
    """Format an episode's transcript as JSON: metadata, and one line per segment with its words. Times in seconds."""
    rows = TranscriptSegments.of(segments).rows
    about = {
        "episode_id": episode["episode_id"],
        "source": episode.get("source"),
        "title": episode.get("title"),
        "podcast": episode.get("podcast"),
        "license": episode.get("license"),
        "duration": episode.get("duration"),
        "speakers": sorted({s["speaker"] for s in rows if s.get("speaker") is not None}),
    }
    head = "".join(f" {json.dumps(k)}: {_dump_json(v)},\n" for k, v in about.items())
    lines = ",\n".join(f"  {_dump_json({k: s.get(k) for k in _KEYS})}" for s in rows)
    return f'{{\n{head} "segments": [\n{lines}\n ]\n}}\n'


def to_rttm(episode: Row, segments: Sequence[Row] | TranscriptSegments) -> str:
    """Format the segments with a speaker and a length as RTTM. White space in names becomes underscores."""
    turns = [
        Turn(s.start, s.end, "_".join(s.speaker.split()))
        for s in TranscriptSegments.of(segments).spoken
        if s.speaker and s.end > s.start
    ]
    return format_rttm("_".join(str(episode["episode_id"]).split()), turns)


def _dump_json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return json.dumps(_finite_or_none(value), ensure_ascii=False)


def _finite_or_none(value: Any) -> Any:
    """Replace infinity and NaN, which JSON cannot represent, by None."""
    if isinstance(value, dict):
        return {k: _finite_or_none(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite_or_none(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
