"""Submissions: episodes are taken in, and what became of them is told."""

import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response
from pydantic import StringConstraints

from podcast_assets.common.errors import BadInput
from podcast_assets.common.redaction import redact_url
from podcast_assets.intake.downloads.urls import parse_url
from podcast_assets.intake.given_metadata import GivenMetadata, overwrite
from podcast_assets.review.api.access import TooMany
from podcast_assets.review.api.callbacks import check_callback, check_literal_address
from podcast_assets.review.api.errors import Conflict, NotFound
from podcast_assets.review.api.models import (
    Accepted,
    CallbackSecret,
    EpisodeMetadata,
    SubmissionId,
    SubmissionRequest,
    SubmissionState,
)
from podcast_assets.review.api.records import Submission, find_submission, new_submission, write_waiting
from podcast_assets.review.api.services import ApiServices, Services, Submitter, SubmitterOrReader
from podcast_assets.review.api.status import submission_status
from podcast_assets.review.secrets import deployment_key
from podcast_assets.review.tokens import Token, callback_secret

router = APIRouter(tags=["submissions"])

IdempotencyKey = Annotated[
    str | None,
    Header(description="A repetition with the same key is the same submission."),
    StringConstraints(min_length=1, max_length=255, pattern=r"^[ -~]+$"),
]
_RETRY_LATER = 30.0


@router.post("/episodes", status_code=202, response_model=Accepted)
def submit_episodes(
    request: SubmissionRequest,
    response: Response,
    services: Services,
    token: Submitter,
    idempotency_key: IdempotencyKey = None,
) -> Accepted:
    """Submit episodes for processing.

    They are in the store when the answer is sent, and within half a minute in a list under `incoming/`, from which they are
    downloaded and processed.
    """
    rows = _rows(services, request)
    if request.callback_url is not None:
        check_callback(request.callback_url, services.settings.callback_hosts)
    now = datetime.datetime.now(datetime.UTC)
    new = new_submission(token.token_id, rows, callback=request.callback_url, key=idempotency_key, at=now)
    before = find_submission(services.store, new.submission_id) if idempotency_key else None
    if before is not None and before.digest != new.digest:
        raise Conflict("The idempotency key was used for another request.")
    if before is None:
        _refuse_if_full(services)
        write_waiting(services.store, new)
    response.headers["Location"] = f"/api/episodes/{new.submission_id}"
    return Accepted(id=new.submission_id, status_url=f"/api/episodes/{new.submission_id}")


@router.get("/episodes/{submission_id}", response_model=SubmissionState)
def read_status(submission_id: SubmissionId, services: Services, token: SubmitterOrReader) -> dict[str, Any]:
    """Tell what became of a submission: its batch, and the state, stage and progress of each episode.

    A token that may submit sees its own submissions, one that may read sees all.
    """
    return submission_status(services.store, _find(services, submission_id, token))


@router.get("/callback-secret", response_model=CallbackSecret)
def read_callback_secret(services: Services, token: Submitter) -> CallbackSecret:
    """Tell the secret that this token's callbacks are signed with."""
    return CallbackSecret(secret=callback_secret(deployment_key(services.settings), token.token_id))


def _find(services: ApiServices, submission_id: str, token: Token) -> Submission:
    found = find_submission(services.store, submission_id)
    # whoever may not see it is not told that it exists
    if found is None or not (token.may("read") or found.token_id == str(token.token_id)):
        raise NotFound("There is no such submission.")
    return found


def _rows(services: ApiServices, request: SubmissionRequest) -> list[dict[str, Any]]:
    """Rows of a list of URLs for a request.

    Raises:
        BadInput: it names no URL, or one that cannot be downloaded, or metadata that mean nothing.
    """
    if (request.url is None) == (request.episodes is None):
        raise BadInput("give either url or episodes")
    of_all = _columns(request)
    if request.url is not None:
        rows = [{"url": request.url} | of_all]
    else:
        rows = [overwrite({"url": e.url} | of_all, _columns(e)) for e in request.episodes or ()]
    for row in rows:
        _check_url(services, row["url"])
    return rows


def _columns(given: EpisodeMetadata) -> dict[str, Any]:
    metadata = GivenMetadata(given.language, given.licence, given.podcast, given.title, given.speakers)
    return metadata.row()


def _check_url(services: ApiServices, url: str) -> None:
    host = parse_url(url).host
    if host not in services.settings.allowed_hosts:
        try:
            check_literal_address(host, "PODCAST_ALLOW_HOSTS")
        except BadInput as error:
            raise BadInput(f"{redact_url(url)}: {error}") from None


def _refuse_if_full(services: ApiServices) -> None:
    waiting = services.waiting.count()
    if waiting > services.settings.api_waiting_limit:
        raise TooMany("Too many submissions are waiting: try again later.", _RETRY_LATER)
