"""Batches, their episodes, and what was made of each: transcripts and segments."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from sqlalchemy import select

from podcast_assets.catalog.tables import EPISODES, SCORES, SEGMENTS
from podcast_assets.review.api.errors import NotFound
from podcast_assets.review.api.models import BatchName, EpisodeId, Page, Rows, TranscriptFormat
from podcast_assets.review.api.services import Reader, Services
from podcast_assets.store.discard_records import read_batch_discards
from podcast_assets.store.store import diarization_key, transcript_key

router = APIRouter(tags=["batches"])

_MEDIA_TYPES: dict[TranscriptFormat, str] = {
    "json": "application/json",
    "md": "text/markdown; charset=utf-8",
    "srt": "application/x-subrip; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
    "rttm": "text/plain; charset=utf-8",
}

Limit = Annotated[int, Query(ge=1, le=1_000, description="Most rows.")]
After = Annotated[int, Query(ge=0, le=2**31 - 1, description="Number of rows to leave out.")]


@router.get("/batches", response_model=Rows)
def list_batches(services: Services, _: Reader, limit: Limit = 50) -> dict[str, Any]:
    """List batches, newest first, with their state and counts."""
    return {"rows": services.pipeline.batches(None, limit)}


@router.get("/batches/{batch}", response_model=dict[str, Any])
def read_batch(batch: BatchName, services: Services, _: Reader) -> dict[str, Any]:
    """Tell the state of a batch."""
    rows = services.pipeline.batches([batch], 1)
    if not rows:
        raise NotFound("There is no such batch.")
    return dict(rows[0])


@router.get("/batches/{batch}/episodes", response_model=Page)
def list_episodes(
    batch: BatchName, services: Services, _: Reader, limit: Limit = 100, after: After = 0
) -> dict[str, Any]:
    """List the episodes of a batch, with their status and language."""
    rows = services.pipeline.episodes(batch)
    if not rows and not services.pipeline.batches([batch], 1):
        raise NotFound("There is no such batch.")
    shown = rows[after : after + limit]
    return {"rows": shown, "next": after + limit if after + limit < len(rows) else None}


@router.get(
    "/batches/{batch}/episodes/{episode_id}/transcript.{suffix}",
    response_class=Response,
    responses={200: {"content": {kind.partition(";")[0]: {} for kind in _MEDIA_TYPES.values()}}},
)
def read_transcript(
    batch: BatchName,
    episode_id: EpisodeId,
    suffix: TranscriptFormat,
    services: Services,
    _: Reader,
) -> Response:
    """Read the transcript of an episode, or who speaks when (rttm)."""
    key_of = diarization_key if suffix == "rttm" else transcript_key
    key = key_of(batch, episode_id, suffix)
    try:
        if episode_id in read_batch_discards(services.store, batch):
            raise NotFound("The episode is discarded.")
        data = services.store.read(key)
    except FileNotFoundError:
        raise NotFound("There is no such transcript.") from None
    return Response(data, media_type=_MEDIA_TYPES[suffix])


@router.get("/batches/{batch}/episodes/{episode_id}/segments", response_model=Page)
def list_segments(
    batch: BatchName, episode_id: EpisodeId, services: Services, _: Reader, limit: Limit = 200, after: After = 0
) -> dict[str, Any]:
    """List the segments of an episode from the catalog, in their order, with their scores. Times are in seconds."""
    of_episode = (SEGMENTS.c.batch == batch) & (SEGMENTS.c.episode_id == episode_id)
    scores = [c for c in SCORES.columns if c.name not in SEGMENTS.columns]
    scored = SEGMENTS.outerjoin(
        SCORES, (SCORES.c.batch == SEGMENTS.c.batch) & (SCORES.c.segment_id == SEGMENTS.c.segment_id)
    )
    query = select(*SEGMENTS.columns, *scores).select_from(scored).where(of_episode)
    query = query.order_by(SEGMENTS.c.segment_index).offset(after).limit(limit + 1)
    known = select(EPISODES.c.episode_id).where(EPISODES.c.batch == batch, EPISODES.c.episode_id == episode_id)
    with services.engine.connect() as connection:
        rows = [dict(row) for row in connection.execute(query).mappings()]
        if not rows and connection.scalar(known) is None:
            raise NotFound("The catalog has no such episode.")
    return {"rows": rows[:limit], "next": after + limit if len(rows) > limit else None}
