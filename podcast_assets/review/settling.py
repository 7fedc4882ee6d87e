"""What follows from the decisions about an item: who looks next, and what holds. Pure functions."""

import unicodedata
import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from podcast_assets.review.chance import chance
from podcast_assets.review.records import Action, Decision, Effective, Standing
from podcast_assets.review.refs import ItemRef

JUDGING: frozenset[Action] = frozenset(("label", "text"))
"""Actions about which two reviewers may agree. Of the others, the newest holds."""
ENDING: frozenset[Action] = frozenset(("retry", "discard", "takedown"))
"""Actions after which nobody needs to look again."""


def standing_decisions(decisions: Iterable[Decision]) -> list[Decision]:
    """Return the decisions that were not undone, in their order, without those that undo."""
    found = list(decisions)
    undone = {d.undoes for d in found if d.action == "undo"}
    return [d for d in found if d.action != "undo" and d.decision_id not in undone]


def required_looks(ref: ItemRef, second_look: float) -> int:
    """Return how many reviewers must look at an item that nothing else is known of: a share of all gets a second one.

    The choice depends on the item alone, so that nobody can tell beforehand, and everybody agrees afterwards.
    """
    return (
        2 if ref.kind != "failure" and chance(f"second look {ref.kind}/{ref.batch}/{ref.item_id}") < second_look else 1
    )


def next_look(standing: Sequence[Decision], looks: int) -> int | None:
    """Return which look an item needs next: 1, 2, or 3 for an adjudication; None once its review is complete.

    A second look follows where it was chosen, and where the first reviewer contradicts the policy's model; an adjudication follows
    where two reviewers disagree.

    Args:
        standing: decisions about the item that were not undone, the oldest first.
        looks: how many reviewers must look at it.
    """
    if any(d.action in ENDING for d in standing):
        return None
    by_look = _by_look(standing)
    if 3 in by_look:
        return None
    if 1 not in by_look:
        return 1
    if 2 not in by_look:
        return 2 if looks > 1 or any(_contradicts_model(d) for d in by_look[1].values()) else None
    return None if _looks_agree(by_look[1], by_look[2]) else 3


def seen_by(standing: Iterable[Decision]) -> set[uuid.UUID]:
    """Return who has decided or skipped an item, and does not get it again."""
    return {
        d.user_id for d in standing if d.user_id is not None and (d.action in JUDGING | ENDING or d.action == "skip")
    }


def own_look(standing: Sequence[Decision], user_id: uuid.UUID) -> int | None:
    """Return the look that a user made; None if he made none."""
    return next((d.look for d in reversed(standing) if d.user_id == user_id and d.action in JUDGING | ENDING), None)


def settle(decisions: Iterable[Decision]) -> list[Effective]:
    """Return what holds, of all decisions about any number of items, in their order."""
    groups: dict[tuple[Any, ...], list[tuple[Decision, ItemRef, Any]]] = defaultdict(list)
    for decision in standing_decisions(decisions):
        for key, ref, value in _parts(decision):
            groups[key].append((decision, ref, value))
    return [_settle_group(key[0], key[-1], parts) for key, parts in groups.items()]


def values_agree(action: Action, one: Any, other: Any) -> bool:
    """Whether two values say the same. Texts do if their words are the same apart from case and punctuation."""
    if action == "text":
        return normalize_text(one and one.get("text")) == normalize_text(other and other.get("text"))
    return one == other


def normalize_text(text: str | None) -> str:
    """Words of a text in lower case without punctuation, separated by one space."""
    folded = unicodedata.normalize("NFKC", text or "").casefold()
    kept = "".join(c if unicodedata.category(c)[0] in "LMN" else "" if c in "'\u2019" else " " for c in folded)
    return " ".join(kept.split())


def _by_look(standing: Iterable[Decision]) -> dict[int, dict[Action, Decision]]:
    """Look → the newest decision of each action that judges."""
    found: dict[int, dict[Action, Decision]] = defaultdict(dict)
    for decision in standing:
        if decision.action in JUDGING:
            found[decision.look][decision.action] = decision
    return found


def _contradicts_model(decision: Decision) -> bool:
    if decision.action != "label" or not isinstance(decision.previous, dict):
        return False
    said = decision.previous.items()
    return any(verdict is not None and decision.value.get(label) not in (None, verdict) for label, verdict in said)


def _looks_agree(first: dict[Action, Decision], second: dict[Action, Decision]) -> bool:
    return first.keys() == second.keys() and all(values_agree(a, d.value, second[a].value) for a, d in first.items())


def _parts(decision: Decision) -> Iterable[tuple[tuple[Any, ...], ItemRef, Any]]:
    """What a decision says, by what it says it of: the key begins with the action and ends with the label."""
    ref, value, action = decision.ref, decision.value, decision.action
    if action == "skip":
        return
    if action == "label" and isinstance(value, dict):
        for label, applies in value.items():
            yield (action, ref, decision.policy, label), ref, applies
    elif action == "reassign" and isinstance(value, dict):
        for segment_id in value["segments"]:
            yield (
                (action, ref.batch, segment_id, None),
                ItemRef.segment(ref.batch, ref.episode_id, segment_id),
                value["speaker"],
            )
    elif action == "rename_speaker" and isinstance(value, dict):
        where = value["podcast"] if value["scope"] == "podcast" else (ref.batch, ref.episode_id)
        yield (action, value["scope"], where, value["speaker"], None), ref, value
    elif value is not None or action in ENDING:
        yield (action, ref, None), ref, value


def _settle_group(action: Action, label: str | None, parts: Sequence[tuple[Decision, ItemRef, Any]]) -> Effective:
    last = {decision.look: (decision, ref, value) for decision, ref, value in parts}
    standing: Standing = "single"
    if action not in JUDGING:
        chosen = [parts[-1]]
    elif 3 in last:
        standing, chosen = "adjudicated", [last[3]]
    elif 1 in last and 2 in last:
        chosen = sorted(last.values(), key=lambda part: part[0].decided_at)
        standing = "agreed" if values_agree(action, chosen[0][2], chosen[1][2]) else "disputed"
    else:
        chosen = [max(last.values(), key=lambda part: part[0].decided_at)]
    decision, ref, value = chosen[-1]
    return Effective(
        ref=ref,
        action=action,
        policy=decision.policy,
        label=label,
        value=value,
        standing=standing,
        decisions=tuple(d.decision_id for d, _, _ in chosen),
        reviewers=tuple(d.decided_by for d, _, _ in chosen),
        decided_at=decision.decided_at,
    )
