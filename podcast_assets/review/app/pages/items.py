"""The page of an item, and the way to the next one."""

import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from podcast_assets.review.app.diff import diff_words
from podcast_assets.review.app.pages.search import find_segments
from podcast_assets.review.app.pages.work import FormRef, QueryRef, QueryWork, Work, ref_fields
from podcast_assets.review.app.player import describe_player
from podcast_assets.review.app.rendering import render
from podcast_assets.review.app.sessions import Found, LoggedIn, Submitted
from podcast_assets.review.decisions import history
from podcast_assets.review.errors import ItemGone
from podcast_assets.review.items import Item, load_item
from podcast_assets.review.leases import Lease, lease_item, next_item, release, renew
from podcast_assets.review.queues import QUEUES

router = APIRouter()

BLIND = "review_blind"
"""Cookie: whether this reviewer wants to see no scores and flags."""
SAID = {
    "saved": "Saved.",
    "skipped": "Skipped.",
    "undone": "Undone. The item is yours again.",
    "nothing": "There is nothing to undo.",
    "kept": "Saved. You can go on with this item.",
    "requested": "The takedown was requested.",
}
"""What the page says after a form, by the code in its address."""


@router.get("/next")
def show_next(request: Request, found: Found, session: LoggedIn, work: QueryWork, said: str = "") -> Response:
    """Lease the next item of a queue, and go to its page."""
    refs = None
    if work.queue == "search":
        refs = [hit.ref for hit in find_segments(found.engine, work.words, work.only)]
    lease = next_item(found.engine, session.user, work.queue, work.only, refs)
    if lease is None:
        values = {"queue": work.queue, "about": QUEUES[work.queue], "said": SAID.get(said)}
        return render(request, "empty.html", values, session=session)
    return RedirectResponse(work.item_address(lease.ref, said), 303)


@router.get("/item")
def show_item(
    request: Request, found: Found, session: LoggedIn, ref: QueryRef, work: QueryWork, said: str = ""
) -> Response:
    """Lease an item, and show it."""
    lease = lease_item(found.engine, session.user, ref, work.queue)
    blind = lease.blind or request.cookies.get(BLIND) == "1"
    item = load_item(found.engine, found.store, ref, user=session.user, blind=blind)
    values = _describe_item(item, lease, work) | {
        "said": SAID.get(said),
        "history": history(found.engine, ref, session.user),
        "token": uuid.uuid4(),
        "query": request.url.query,
    }
    return render(request, f"{ref.kind}.html", values, session=session)


@router.post("/renew")
def renew_lease(found: Found, session: Submitted, ref: FormRef) -> Response:
    """Prolong the lease; the page's script asks for it while somebody is at work."""
    renew(found.engine, session.user, ref)
    return Response(status_code=204)


@router.post("/release")
def release_item(found: Found, session: Submitted, ref: FormRef) -> Response:
    """Give an item back, and go to the queues."""
    release(found.engine, session.user, ref)
    return RedirectResponse("/", 303)


@router.post("/blind")
def set_blind(
    request: Request,
    session: Submitted,
    blind: Annotated[bool, Form()],
    back: Annotated[str, Form(max_length=4000)] = "",
) -> Response:
    """Hide or show scores and flags from now on."""
    response = RedirectResponse(f"/item?{back}", 303)
    secure = request.url.scheme == "https"
    response.set_cookie(BLIND, "1" if blind else "0", httponly=True, samesite="lax", path="/", secure=secure)
    return response


def _describe_item(item: Item, lease: Lease, work: Work) -> dict[str, Any]:
    if item.ref.kind != "failure" and not item.segments:
        raise ItemGone("this item has no segments any more")
    shown = (*item.before, *item.segments, *item.after)
    segment = item.segments[0] if item.ref.kind == "segment" else None
    return {
        "item": item,
        "ref": item.ref,
        "lease": lease,
        "work": work,
        "fields": ref_fields(item.ref) | work.fields | {"blind": "1" if item.blind else "0"},
        "about": QUEUES[work.queue],
        "segments": shown,
        "segment": segment,
        "following": item.after[0] if item.after else None,
        "difference": diff_words(segment.text, segment.second_text) if segment else None,
        "speakers": sorted({s.speaker for s in shown if s.speaker}),
        "names": {s.speaker: s.speaker_name for s in shown if s.speaker and s.speaker_name},
        "player": describe_player(item) if item.segments else None,
    }
