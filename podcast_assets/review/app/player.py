"""What the player's script needs of an item."""

from typing import Any
from urllib.parse import urlencode

from podcast_assets.review.items import Item, ItemSegment

CONTEXT = 20.0
"""Seconds before and after an item that its waveform shows at most."""


def describe_player(item: Item) -> dict[str, Any]:
    """Describe an item for the player: its part of the audio, speakers and words, in seconds on the episode's clock."""
    shown = (*item.before, *item.segments, *item.after)
    start = max(min(s.start for s in shown), item.start - CONTEXT, 0.0)
    end = min(max(s.end for s in shown), item.end + CONTEXT)
    fields = {"batch": item.ref.batch, "episode": item.ref.episode_id, "segment": item.segments[0].segment_id}
    return {
        "audio": f"/audio?{urlencode(fields)}",
        "peaks": f"/audio/peaks?{urlencode(fields | {'start': f'{start:.3f}', 'end': f'{end:.3f}'})}",
        "clip": [start, end],
        "item": [item.start, item.end],
        "segments": [_describe_segment(s) for s in shown],
        "speakers": sorted({s.speaker for s in shown if s.speaker}),
    }


def _describe_segment(segment: ItemSegment) -> dict[str, Any]:
    return {
        "start": segment.start,
        "end": segment.end,
        "speaker": segment.speaker,
        "overlap": (segment.overlap or 0.0) > 0.0,
        "judged": segment.judged,
    }
