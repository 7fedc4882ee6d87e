"""Forms that decide: labels, texts, speakers, failures, takedowns and undo."""

import uuid
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from podcast_assets.review.app.failures import carry_out, take_back
from podcast_assets.review.app.pages.work import FormRef, FormWork
from podcast_assets.review.app.sessions import Found, Submitted, require_role
from podcast_assets.review.decisions import FINISHING, Action, decide, undo
from podcast_assets.review.errors import BadDecision
from podcast_assets.review.items import Item, load_item
from podcast_assets.review.queues import QUEUES, Queue
from podcast_assets.review.texts import align_words

router = APIRouter()

_LONGEST_SECONDS = 3600.0
"""Longest time at an item that is kept: a page that stays open over lunch says nothing about the work."""


async def submitted_form(request: Request) -> FormData:
    """Return the form of a request, whose fields depend on the action: a dependency of routes."""
    return await request.form()


@router.post("/decide")
def save_decision(
    found: Found,
    session: Submitted,
    ref: FormRef,
    work: FormWork,
    form: Annotated[FormData, Depends(submitted_form)],
    action: Annotated[Action, Form()],
    token: Annotated[uuid.UUID, Form()],
    blind: Annotated[bool, Form()] = False,
    confidence: Annotated[str, Form(max_length=10)] = "",
    note: Annotated[str, Form(max_length=4000)] = "",
    seconds: Annotated[str, Form(max_length=20)] = "",
) -> Response:
    """Save a decision; then go to the next item of the queue, or on with this one."""
    if action == "undo":
        raise BadDecision("undo has a form of its own")
    if action in ("takedown", "retry", "discard"):
        require_role(session, "adjudicator")
    item = load_item(found.engine, found.store, ref, user=session.user, blind=blind)
    value = read_value(action, item, form)
    with carry_out(found, action, ref, session.user.name, note.strip() or None):
        decide(
            found.engine,
            session.user,
            ref,
            action,
            value,
            queue=work.queue,
            shown=item.shown(),
            confidence=_read_number(confidence, 1.0),
            note=note.strip() or None,
            seconds=_read_number(seconds, _LONGEST_SECONDS),
            session=session.session_id,
            token=token,
        )
    if action not in FINISHING:
        return RedirectResponse(work.item_address(ref, "kept"), 303)
    said = {"skip": "skipped", "takedown": "requested"}.get(action, "saved")
    return RedirectResponse(work.next_address(said), 303)


@router.post("/undo")
def undo_decision(found: Found, session: Submitted, work: FormWork) -> Response:
    """Undo the user's newest decision, and show its item again."""
    undone = undo(found.engine, session.user, session.session_id)
    if undone is None:
        return RedirectResponse("/?said=nothing", 303)
    take_back(found, undone)
    known: dict[str, Queue] = {name: name for name in QUEUES}
    queue = known.get(undone.queue or "", work.queue)
    return RedirectResponse(work.for_queue(queue).item_address(undone.ref, "undone"), 303)


def read_value(action: Action, item: Item, form: Mapping[str, Any]) -> Any:
    """Read the value of a decision from a form, as `decisions.Decision` describes it.

    Raises:
        BadDecision: the form does not fit the item.
    """
    if action == "label":
        return {label.slug: f"label-{label.slug}" in form for label in item.labels}
    if action == "text":
        segment = _segment(item)
        text = " ".join(_field(form, "text").split())
        words = align_words(segment.words, text, segment.start, segment.end)
        return {
            "text": text,
            "words": [{"word": w.word, "start": w.start, "end": w.end, "probability": w.probability} for w in words],
        }
    if action == "rename_speaker":
        value = {"scope": _field(form, "scope"), "speaker": _field(form, "speaker")}
        value["name"] = " ".join(_field(form, "speaker_name").split()) or None  # type: ignore[assignment]
        return value | ({"podcast": item.podcast} if value["scope"] == "podcast" else {})
    if action == "reassign":
        return {"segments": [s.segment_id for s in item.segments], "speaker": _field(form, "speaker").strip()}
    if action == "split":
        segment = _segment(item)
        index = _field(form, "word")
        if not (index.isascii() and index.isdigit()) or not 0 < int(index) < len(segment.words):
            raise BadDecision("choose the word that the second part begins with")
        at = segment.words[int(index)].start
        speakers = [segment.speaker, _field(form, "speaker").strip() or segment.speaker]
        return {"word": int(index), "at": at, "speakers": speakers}
    if action == "join":
        if not item.after:
            raise BadDecision("there is no segment after this one")
        return {"with": item.after[0].segment_id}
    if action == "takedown":
        return {"scope": _field(form, "scope"), "reason": " ".join(_field(form, "reason").split())}
    return None


def _segment(item: Item) -> Any:
    if item.ref.kind != "segment" or not item.segments:
        raise BadDecision("this is possible with segments only")
    return item.segments[0]


def _field(form: Mapping[str, Any], name: str) -> str:
    value = form.get(name)
    if not isinstance(value, str):
        raise BadDecision(f"the form has no field {name}")
    return value


def _read_number(text: str, largest: float) -> float | None:
    """Read a number of a form's field that may be empty; one that is none counts as empty, because no work depends on it."""
    try:
        value = float(text)
    except ValueError:
        return None
    return min(value, largest) if value >= 0 else None
