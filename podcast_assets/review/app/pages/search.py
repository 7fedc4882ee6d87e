"""Search for segments to review."""

from dataclasses import dataclass

from fastapi import APIRouter, Request
from sqlalchemy import Engine, select
from starlette.responses import Response

from podcast_assets.catalog.tables import EPISODES, SEGMENTS
from podcast_assets.review.app.pages.work import QueryWork, Work
from podcast_assets.review.app.rendering import render
from podcast_assets.review.app.sessions import Found, LoggedIn
from podcast_assets.review.queues import QueueFilter
from podcast_assets.review.refs import ItemRef

router = APIRouter()

LIMIT = 100
"""Segments that a search finds at most."""


@dataclass(frozen=True)
class Hit:
    """A segment that was found."""

    ref: ItemRef
    title: str | None
    start: float
    speaker: str | None
    text: str | None


@router.get("/search")
def show_search(request: Request, found: Found, session: LoggedIn, work: QueryWork) -> Response:
    """Show the form, and what was found."""
    work = Work("search", work.only, work.words.strip()[:200])
    hits = find_segments(found.engine, work.words, work.only)
    return render(request, "search.html", {"work": work, "hits": hits, "limit": LIMIT}, session=session)


def find_segments(engine: Engine, words: str, only: QueueFilter) -> list[Hit]:
    """Find segments whose text contains all words, in the order of episodes and time.

    Args:
        engine: engine of the catalog.
        words: words, separated by spaces; without any, nothing is found.
        only: restricts what is searched.
    """
    parts = words.split()
    if not parts:
        return []
    columns = (*SEGMENTS.c["batch", "episode_id", "segment_id", "start", "speaker", "text"], EPISODES.c.title)
    of_episode = (SEGMENTS.c.batch == EPISODES.c.batch) & (SEGMENTS.c.episode_id == EPISODES.c.episode_id)
    query = select(*columns).join(EPISODES, of_episode)
    for part in parts:
        query = query.where(SEGMENTS.c.text.icontains(part, autoescape=True))
    for column, value in (
        (SEGMENTS.c.batch, only.batch),
        (SEGMENTS.c.language, only.language),
        (EPISODES.c.podcast, only.podcast),
    ):
        query = query if value is None else query.where(column == value)
    query = query.order_by(SEGMENTS.c.batch, SEGMENTS.c.episode_id, SEGMENTS.c.segment_index).limit(LIMIT)
    with engine.connect() as connection:
        return [
            Hit(ItemRef.segment(r.batch, r.episode_id, r.segment_id), r.title, r.start, r.speaker, r.text)
            for r in connection.execute(query)
        ]
