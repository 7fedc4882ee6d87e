"""Queues, and what was done and made."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from podcast_assets.review.app.pages.items import SAID
from podcast_assets.review.app.pages.work import QueryWork
from podcast_assets.review.app.rendering import render
from podcast_assets.review.app.sessions import Found, LoggedIn
from podcast_assets.review.figures import read_choices, read_figures
from podcast_assets.review.queues import QUEUES, queue_lengths

router = APIRouter()


@router.get("/")
def show_queues(request: Request, found: Found, session: LoggedIn, work: QueryWork, said: str = "") -> Response:
    """Show the queues with their lengths."""
    values = {
        "queues": QUEUES,
        "lengths": queue_lengths(found.engine, session.user, work.only),
        "work": work,
        "choices": read_choices(found.engine),
        "said": SAID.get(said),
    }
    return render(request, "queues.html", values, session=session)


@router.get("/dashboard")
def show_dashboard(request: Request, found: Found, session: LoggedIn) -> Response:
    """Show what reviewers did, whether they agree, and what the pipeline made."""
    lengths = queue_lengths(found.engine, session.user)
    values = {"queues": QUEUES, "lengths": lengths, "figures": read_figures(found.engine)}
    return render(request, "dashboard.html", values, session=session)


@router.get("/healthz")
def answer_probe() -> Response:
    """Answer a load balancer or an orchestrator. Shows nothing, and needs no login."""
    return Response(status_code=204)
