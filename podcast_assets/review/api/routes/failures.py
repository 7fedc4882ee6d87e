"""Failures: list, retry, and discard what cannot be done."""

import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from podcast_assets.common.errors import BadInput
from podcast_assets.review.api.errors import Conflict, NotFound
from podcast_assets.review.api.models import (
    BatchName,
    Discarded,
    DiscardRequest,
    EpisodeId,
    Line,
    Page,
    Requested,
    RetryRequest,
)
from podcast_assets.review.api.routes.batches import After, Limit
from podcast_assets.review.api.services import Reader, Reviewer, Services
from podcast_assets.rights.discard import discard, undo_discard
from podcast_assets.store.discard_records import read_batch_discards
from podcast_assets.store.store import table_key

router = APIRouter(tags=["failures"])


@router.get("/failures", response_model=Page)
def list_failures(
    services: Services,
    _: Reader,
    batch: Annotated[BatchName | None, Query()] = None,
    stage: Annotated[Line | None, Query(description="unpack, download, ingest, diarize, transcribe, …")] = None,
    limit: Limit = 100,
    after: After = 0,
) -> dict[str, Any]:
    """List episodes that failed: the stage, the reason, and whether a retry can help (`permanent` is false)."""
    rows = services.pipeline.failures(batch, stage)
    shown = [{k: v for k, v in row.items() if k != "traceback"} for row in rows[after : after + limit]]
    return {"rows": shown, "next": after + limit if after + limit < len(rows) else None}


@router.post("/failures/retry", status_code=202, response_model=Requested)
def retry(request: RetryRequest, services: Services, token: Reviewer) -> Requested:
    """Run the batch of failed episodes again. Only what failed is done again. It goes through Dagster's queue."""
    rows = services.pipeline.failures(request.batch, None)
    failed = [row for row in rows if request.episode_id in (None, row["episode_id"])]
    if not failed:
        raise NotFound("Nothing of that name has failed.")
    if not request.permanent and all(row["permanent"] for row in failed):
        raise Conflict("The data caused these failures, so that a retry does not help; `permanent` tries nonetheless.")
    return Requested(backfill=services.pipeline.retry([request.batch]))


@router.post("/discards", status_code=201, response_model=Discarded)
def discard_episode(request: DiscardRequest, services: Services, token: Reviewer) -> Discarded:
    """Leave an episode out of later stages, shards and releases. Nothing is removed, and it can be undone."""
    _check_batch(services, request.batch)
    name, now = f"{request.batch}/{request.episode_id}", datetime.datetime.now(datetime.UTC)
    reason = " ".join(request.reason.split())
    try:
        found = discard(services.store, [name], reason, f"token {token.name}", now)[0]
    except BadInput:
        raise NotFound("The batch has no such episode.") from None
    return Discarded(copies=found.copies, **{k: found.record[k] for k in ("batch", "episode_id", "reason")})


@router.delete("/discards/{batch}/{episode_id}", status_code=204, response_class=Response)
def take_back_in(batch: BatchName, episode_id: EpisodeId, services: Services, token: Reviewer) -> Response:
    """Take a discarded episode back in."""
    if episode_id not in read_batch_discards(services.store, batch):
        raise NotFound("The episode is not discarded.")
    undo_discard(services.store, [f"{batch}/{episode_id}"])
    return Response(status_code=204)


def _check_batch(services: Services, batch: str) -> None:
    if not services.store.exists(table_key("raw_audio", batch)):
        raise NotFound("There is no such batch, or it is not ingested yet.")
