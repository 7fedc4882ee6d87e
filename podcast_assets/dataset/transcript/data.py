"""Transcripts for programs: JSON with all that is known, and RTTM with who speaks when."""

import json
import math
from collections.abc import Sequence
from typing import Any

from podcast_assets.dataset.transcript.spoken import Row, spoken
from podcast_assets.speech.rttm import format_rttm
from podcast_assets.speech.types import Turn

_KEYS = (
    "segment_id start end speaker text language language_probability words avg_logprob no_speech_prob "
    "compression_ratio engine degraded"
).split()


def as_json(episode: Row, segments: Sequence[Row]) -> str:
    """An episode's transcript as JSON: what it is, and all its segments with words. Times in seconds."""
    content = {
        "episode_id": episode["episode_id"],
        "source": episode.get("source"),
        "title": episode.get("title"),
        "podcast": episode.get("podcast"),
        "license": episode.get("license"),
        "duration": episode.get("duration"),
        "speakers": sorted({s["speaker"] for s in segments if s.get("speaker") is not None}),
        "segments": [{k: s.get(k) for k in _KEYS} for s in segments],
    }
    return json.dumps(_finite(content), ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def as_rttm(episode: Row, segments: Sequence[Row]) -> str:
    """Who speaks when, by the segments: those with a speaker and a length. White space in names becomes underscores."""
    turns = [
        Turn(s.start, s.end, "_".join(s.speaker.split())) for s in spoken(segments) if s.speaker and s.end > s.start
    ]
    return format_rttm("_".join(str(episode["episode_id"]).split()), turns)


def _finite(value: Any) -> Any:
    """JSON has no words for infinity and what is no number."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
