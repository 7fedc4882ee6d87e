"""Label Studio's JSON (https://labelstud.io/guide/export): decisions as annotations, and annotations as decisions. No I/O.

A task is a segment or a window. Its annotations, one per reviewer, have a `TextArea` named `transcription`, `Choices` named
`labels` for those that apply, and the speaker as the `Labels` of a region named `speaker`: `CONFIG` is the labelling configuration.
Other names of these three are accepted too.
"""

import datetime
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from podcast_assets.review.decisions import Decision
from podcast_assets.review.refs import ItemRef
from podcast_assets.review.settling import standing_decisions

CONFIG = """<View>
  <Audio name="audio" value="$audio"/>
  <Labels name="speaker" toName="audio" value="$speakers"/>
  <TextArea name="transcription" toName="audio" value="$text" rows="4" editable="true" maxSubmissions="1"/>
  <Choices name="labels" toName="audio" choice="multiple" value="$labels"/>
</View>
"""
_NAMESPACE = uuid.UUID("5f6a1c0e-8a45-4a8e-9f0c-0d9f5f4f7d11")
"""Of the ids of imported decisions: importing a file twice adds nothing."""


class UnknownTask(ValueError):
    """A task that is not one of this catalog's items, or an annotation that cannot be read."""


def to_tasks(items: Iterable[Mapping[str, Any]], decisions: Iterable[Decision]) -> list[dict[str, Any]]:
    """Make tasks with the decisions that stand as annotations.

    Args:
        items: `ref` (ItemRef), `start`, `end` (s), `text`, `speaker`, `language`, and `labels` of the policy, if there are any.
        decisions: decisions of any items.
    """
    by_item: dict[ItemRef, list[Decision]] = {}
    for decision in standing_decisions(decisions):
        by_item.setdefault(decision.ref, []).append(decision)
    return [_task(item, by_item.get(item["ref"], [])) for item in items]


def from_tasks(tasks: Iterable[Mapping[str, Any]], look: int = 1) -> list[Decision]:
    """Make decisions of the annotations of tasks that `to_tasks` made. Annotations that were skipped are left out.

    Args:
        tasks: exported tasks (the format JSON, not JSON-MIN).
        look: look of each item's first annotator; another annotator's is the next one, up to the second.

    Raises:
        UnknownTask: a task does not name its item; the message says which.
    """
    found: list[Decision] = []
    for number, task in enumerate(tasks, 1):
        ref = _ref_of(task, number)
        looks: dict[str, int] = {}
        annotations = task.get("annotations") or ()
        for annotation in sorted(annotations, key=lambda a: str(a.get("created_at") or "")):
            if annotation.get("was_cancelled"):
                continue
            name = _annotator(annotation)
            looks.setdefault(name, min(look + len(looks), 2))
            found += _decisions_of(ref, task, annotation, name, looks[name])
    return found


def _task(item: Mapping[str, Any], decisions: Iterable[Decision]) -> dict[str, Any]:
    ref: ItemRef = item["ref"]
    by_reviewer: dict[str, list[Decision]] = {}
    for decision in decisions:
        if decision.action in ("text", "label", "reassign"):
            by_reviewer.setdefault(decision.decided_by, []).append(decision)
    labels = list(item.get("labels") or ())
    return {
        "data": {
            "audio": f"{ref.batch}/{ref.episode_id}",
            "text": item.get("text") or "",
            "start": item.get("start"),
            "end": item.get("end"),
            "speakers": [{"value": item["speaker"]}] if item.get("speaker") else [],
            "language": item.get("language"),
            "labels": [{"value": label} for label in labels],
            "policy": item.get("policy"),
            "item_kind": ref.kind,
            "batch": ref.batch,
            "episode_id": ref.episode_id,
            "item_id": ref.item_id,
        },
        "annotations": [_annotation(item, name, made) for name, made in sorted(by_reviewer.items())],
    }


def _annotation(item: Mapping[str, Any], reviewer: str, decisions: list[Decision]) -> dict[str, Any]:
    newest = decisions[-1]
    results = [result for decision in decisions for result in _results(item, decision)]
    return {
        "unique_id": str(newest.decision_id),
        "completed_by": {"email": reviewer},
        "created_at": newest.decided_at.isoformat(),
        "lead_time": newest.seconds,
        "was_cancelled": False,
        "result": results,
    }


def _results(item: Mapping[str, Any], decision: Decision) -> Iterable[dict[str, Any]]:
    about = {"id": str(decision.decision_id)[:10], "to_name": "audio", "origin": "manual"}
    value = decision.value if isinstance(decision.value, Mapping) else {}
    if decision.action == "text":
        yield {**about, "from_name": "transcription", "type": "textarea", "value": {"text": [value.get("text") or ""]}}
    elif decision.action == "label":
        chosen = sorted(slug for slug, applies in value.items() if applies)
        yield {**about, "from_name": "labels", "type": "choices", "value": {"choices": chosen}}
    elif decision.action == "reassign" and item.get("start") is not None:
        region = {"start": item["start"], "end": item["end"], "channel": 0, "labels": [value.get("speaker")]}
        yield {**about, "from_name": "speaker", "type": "labels", "value": region}


def _ref_of(task: Mapping[str, Any], number: int) -> ItemRef:
    data = task.get("data")
    data = data if isinstance(data, Mapping) else {}
    try:
        return ItemRef(data["item_kind"], *(str(data[name]) for name in ("batch", "episode_id", "item_id")))
    except (KeyError, ValueError):
        raise UnknownTask(
            f"task {number} names no item: its data must have item_kind, batch, episode_id and item_id, as in "
            "`podcast-assets review export --format label-studio`"
        ) from None


def _annotator(annotation: Mapping[str, Any]) -> str:
    by = annotation.get("completed_by")
    name = by.get("email") or by.get("id") if isinstance(by, Mapping) else by
    return str(name).lower() if name is not None else "label studio"


def _decisions_of(
    ref: ItemRef, task: Mapping[str, Any], annotation: Mapping[str, Any], name: str, look: int
) -> Iterable[Decision]:
    data = task["data"]
    for result in annotation.get("result") or ():
        value = result.get("value") or {}
        if result.get("type") == "textarea":
            text = " ".join(str(line) for line in value.get("text") or ()).strip()
            yield _decision(ref, annotation, name, look, "text", {"text": text, "words": None})
        elif result.get("type") == "choices" and ref.kind == "window":
            chosen = set(value.get("choices") or ())
            known = [one["value"] if isinstance(one, Mapping) else str(one) for one in data.get("labels") or ()]
            judged = {label: label in chosen for label in sorted({*known, *chosen})}
            yield _decision(ref, annotation, name, look, "label", judged, policy=ref.policy_and_window[0])
        elif result.get("type") == "labels" and ref.kind == "segment" and value.get("labels"):
            speaker = {"segments": [ref.item_id], "speaker": str(value["labels"][0])}
            yield _decision(ref, annotation, name, look, "reassign", speaker)


def _decision(
    ref: ItemRef,
    annotation: Mapping[str, Any],
    name: str,
    look: int,
    action: Any,
    value: Any,
    policy: str | None = None,
) -> Decision:
    unique = annotation.get("unique_id") or annotation.get("id") or annotation.get("created_at")
    lead = annotation.get("lead_time")
    return Decision(
        decision_id=uuid.uuid5(_NAMESPACE, f"{ref.to_path()} {name} {unique} {action}"),
        ref=ref,
        action=action,
        value=value,
        previous=None,
        shown=None,
        queue="label studio",
        policy=policy,
        policy_version=None,
        policy_hash=None,
        confidence=None,
        note=None,
        seconds=float(lead) if isinstance(lead, int | float) else None,
        look=look,
        undoes=None,
        user_id=None,
        decided_by=name,
        role="reviewer",
        session=None,
        decided_at=_moment(annotation.get("created_at")),
    )


def _moment(value: object) -> datetime.datetime:
    try:
        found = datetime.datetime.fromisoformat(str(value))
    except ValueError:
        return datetime.datetime.now(datetime.UTC)
    return found if found.tzinfo else found.replace(tzinfo=datetime.UTC)
