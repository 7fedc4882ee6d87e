"""The episode grain: one sample per episode, with its whole audio and transcript."""

import json
from typing import Any

import polars as pl

from podcast_assets.speech.rttm import format_rttm, parse_rttm
from podcast_assets.speech.types import Turn

EPISODE_VERSION = 1
"""Version of the keys of an episode's JSON, its `v`."""

_SEGMENT_KEYS = ("segment_id", "start", "end", "speaker", "text", "language", "words")


def episode_content(raw_audio: pl.DataFrame, content: pl.DataFrame) -> pl.DataFrame:
    """One row per episode with samples: the content of its JSON member, its split, and its most spoken language.

    Args:
        raw_audio: rows of `raw_audio` of the batch.
        content: result of `sample_content`; the episodes keep its order.
    """
    spoken = (
        content.group_by("episode_id", "language")
        .agg(pl.col("duration").sum())
        .sort("duration", "language", descending=[True, False])
    )
    most = spoken.group_by("episode_id", maintain_order=True).agg(pl.col("language").first())
    of_segments = content.group_by("episode_id", maintain_order=True).agg(
        pl.col("split").first(),
        speakers=pl.col("speaker").drop_nulls().n_unique().cast(pl.Int32),
        segments=pl.len().cast(pl.Int32),
        degraded=pl.col("degraded").any(),
    )
    about = raw_audio.select("episode_id", "podcast_id", "podcast", "title", "duration", "license")
    return of_segments.join(most, on="episode_id", how="left", maintain_order="left").join(
        about, on="episode_id", how="left", maintain_order="left"
    )


def episode_json(about: dict[str, Any], samples: pl.DataFrame, rttm: str | None, *, sample_rate: int) -> bytes:
    """Make the JSON member of an episode. All keys are always present; times are in seconds.

    Args:
        about: `episode_id`, `podcast_id`, `podcast`, `title`, `duration`, `language`, `license`.
        samples: segments of the episode with their texts, in order.
        rttm: full diarization with overlaps; if None, the turns are those of the segments.
        sample_rate: sample rate of the audio member, Hz.
    """
    identity = str(about["episode_id"])
    turns = (
        [Turn(s, e, who) for s, e, who in samples.select("start", "end", "speaker").iter_rows()]
        if rttm is None
        else parse_rttm(rttm).get(identity, [])
    )
    content = {
        "id": identity,
        **{k: about[k] for k in ("episode_id", "podcast_id", "podcast", "title", "duration", "language")},
        "speakers": sorted({t.speaker for t in turns if t.speaker is not None}),
        "turns": [{"start": t.start, "end": round(t.end, 6), "speaker": t.speaker} for t in turns],
        "rttm": format_rttm(identity, turns) if rttm is None else rttm,
        "segments": samples.select(_SEGMENT_KEYS).to_dicts(),
        "text": " ".join(t.strip() for t in samples["text"] if t),
        "sample_rate": sample_rate,
        "license": about["license"],
        "v": EPISODE_VERSION,
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
