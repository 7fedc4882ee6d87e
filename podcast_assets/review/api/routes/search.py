"""Search in the catalog, and statistics of the store."""

import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from podcast_assets.catalog.connection import CatalogTrouble
from podcast_assets.catalog.search.filters import Filters
from podcast_assets.common.errors import BadInput, EngineUnavailable, Misconfigured
from podcast_assets.review.api.errors import Conflict
from podcast_assets.review.api.models import Line, SearchAnswer
from podcast_assets.review.api.services import Reader, Services

router = APIRouter(tags=["search and statistics"])

_Texts = Annotated[list[Line] | None, Query(max_length=20, description="One of these; may be repeated.")]


@router.get("/search", response_model=SearchAnswer)
def search(
    services: Services,
    _: Reader,
    q: Annotated[Line, Query(description='Words, "exact phrases", -exclusions, OR and prefix*.')],
    mode: Literal["words", "meaning", "both"] = "words",
    podcast: _Texts = None,
    language: _Texts = None,
    speaker: _Texts = None,
    batch: _Texts = None,
    episode: _Texts = None,
    after: Annotated[datetime.date | None, Query(description="First day of publication.")] = None,
    before: Annotated[datetime.date | None, Query(description="Last day of publication.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
) -> dict[str, Any]:
    """Search what was said. Times of the hits are in seconds, and their links lead to the moment in the recording."""
    filters = Filters(
        podcasts=podcast or (),
        languages=language or (),
        speakers=speaker or (),
        batches=batch or (),
        episodes=episode or (),
        after=after,
        before=before,
    )
    try:
        found = services.search.search(q, mode, filters, limit)
    except (Misconfigured, EngineUnavailable) as error:
        if isinstance(error, CatalogTrouble):
            raise
        raise Conflict(f"This catalog cannot be searched by meaning: {error}") from error
    return {"hits": found.to_dicts(), "notes": list(found.notes)}


@router.get("/stats", response_model=dict[str, Any])
def read_statistics(
    services: Services,
    _: Reader,
    by: Annotated[Line | None, Query(description="day, hour, language, podcast, engine, gpu or status.")] = None,
) -> dict[str, Any]:
    """Tell episodes, hours, success rate, speed of the stages, failures by reason and what waits; also by groups."""
    groups = services.pipeline.groups
    if by is not None and by not in groups:
        raise BadInput(f"by must be one of {', '.join(groups)}")
    return dict(services.pipeline.statistics(by))
