"""Values of decisions: whether they fit the item, and what held before."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select

from podcast_assets.catalog.tables import DECISIONS, SEGMENTS, SPEAKERS
from podcast_assets.review.errors import BadDecision
from podcast_assets.review.facts import Facts
from podcast_assets.review.records import Action, Decision

MAX_TEXT = 20_000
MAX_NOTE = 4_000
_MAX_NAME = 200
_SLACK = 1.0
"""Seconds that a word may begin before or end after its segment."""

_KINDS: Mapping[Action, str] = {
    "label": "window",
    "text": "segment",
    "split": "segment",
    "join": "segment",
    "retry": "failure",
    "discard": "failure",
}
"""Action → the kind of item that it is for; the others are for any."""


def check_value(
    connection: Connection, facts: Facts, action: Action, value: Any, standing: Sequence[Decision]
) -> tuple[Any, Any]:
    """Check a decision's value.

    Args:
        connection: connection to the catalog.
        facts: facts of the item.
        action: the action.
        value: what was given (`records.Decision`).
        standing: decisions about the item so far that were not undone.

    Returns:
        The value as it is kept, and what held before.

    Raises:
        BadDecision: it does not fit the item.
    """
    kind = _KINDS.get(action)
    if kind not in (None, facts.ref.kind):
        raise BadDecision(f"{action} is for a {kind}, and this is a {facts.ref.kind}")
    checks = {
        "label": _label,
        "text": _text,
        "rename_speaker": _rename,
        "reassign": _reassign,
        "split": _split,
        "join": _join,
        "takedown": _takedown,
    }
    if action in checks:
        if not isinstance(value, Mapping):
            raise BadDecision(f"{action} needs a value")
        return checks[action](connection, facts, value, standing)
    if action not in ("retry", "discard", "skip"):
        raise BadDecision(f"{action} is not an action")
    if value is not None:
        raise BadDecision(f"{action} has no value")
    return None, None


def storable(value: Any) -> Any:
    """Return a value as JSONB takes it: no NaN, no NUL, no lone surrogate."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, Mapping):
        return {storable(str(key)): storable(item) for key, item in value.items()}
    return [storable(item) for item in value] if isinstance(value, (list, tuple, set, frozenset)) else value


def clean_text(text: str) -> str:
    """Remove what PostgreSQL does not take from a text."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _label(_: Connection, facts: Facts, value: Mapping[str, Any], __: object) -> tuple[Any, Any]:
    if value.keys() != facts.verdicts.keys() or not all(isinstance(v, bool) for v in value.values()):
        raise BadDecision(f"true or false is needed for each of {', '.join(facts.verdicts)}")
    return dict(value), dict(facts.verdicts)


def _text(_: Connection, facts: Facts, value: Mapping[str, Any], standing: Sequence[Decision]) -> tuple[Any, Any]:
    text = _string(value, "text", MAX_TEXT, "the text")
    kept: dict[str, Any] = {"text": text}
    if value.get("words") is not None:
        kept["words"] = [_word(word, facts) for word in _list(value["words"], "words")]
        if "".join("".join(w["word"] for w in kept["words"]).split()) != "".join(text.split()):
            raise BadDecision("the words are not those of the text")
    before = next((d.value["text"] for d in reversed(standing) if d.action == "text" and d.value), facts.text)
    return kept, {"text": before}


def _word(word: Any, facts: Facts) -> dict[str, Any]:
    if not isinstance(word, Mapping):
        raise BadDecision("a word has word, start and end")
    times = [word.get("start"), word.get("end")]
    if times != [None, None]:
        numbers = [
            float(t) for t in times if isinstance(t, (int, float)) and not isinstance(t, bool) and math.isfinite(t)
        ]
        if len(numbers) != 2 or not facts.start - _SLACK <= numbers[0] <= numbers[1] <= facts.end + _SLACK:
            raise BadDecision("a word's times are seconds within its segment")
        times = list(numbers)
    probability = word.get("probability")
    kept = {"word": _string(word, "word", MAX_TEXT, "a word"), "start": times[0], "end": times[1]}
    return kept | ({"probability": float(probability)} if isinstance(probability, (int, float)) else {})


def _rename(
    connection: Connection, facts: Facts, value: Mapping[str, Any], standing: Sequence[Decision]
) -> tuple[Any, Any]:
    scope, ref = value.get("scope"), facts.ref
    if scope not in ("episode", "podcast"):
        raise BadDecision("a speaker is renamed in the episode or in the podcast")
    speaker = _string(value, "speaker", _MAX_NAME, "the speaker's label")
    name = None if value.get("name") is None else " ".join(_string(value, "name", _MAX_NAME, "the name").split())
    c = SPEAKERS.c
    ours = (c.batch == ref.batch) & (c.episode_id == ref.episode_id) & (c.speaker == speaker)
    d = DECISIONS.c
    given = (d.batch == ref.batch) & (d.episode_id == ref.episode_id) & (d.action == "reassign")
    if (
        connection.scalar(select(c.speaker).where(ours)) is None
        and connection.scalar(select(d.decision_id).where(given & (d.value["speaker"].astext == speaker)).limit(1))
        is None
    ):
        raise BadDecision(f"the episode has no speaker {speaker}")
    kept: dict[str, Any] = {"scope": scope, "speaker": speaker, "name": name or None}
    if scope == "podcast":
        if facts.podcast is None:
            raise BadDecision("the episode belongs to no podcast that is known")
        kept["podcast"] = facts.podcast
    same = [d.value for d in standing if d.action == "rename_speaker" and d.value and d.value["speaker"] == speaker]
    return kept, {"name": same[-1]["name"]} if same else None


def _reassign(connection: Connection, facts: Facts, value: Mapping[str, Any], _: object) -> tuple[Any, Any]:
    wanted = _list(value.get("segments"), "segments")
    speaker = _string(value, "speaker", _MAX_NAME, "the speaker's label").strip()
    if not speaker or not wanted or not all(isinstance(s, str) for s in wanted):
        raise BadDecision("segments and the speaker's label are needed")
    c, ref = SEGMENTS.c, facts.ref
    ours = (c.batch == ref.batch) & (c.episode_id == ref.episode_id) & c.segment_id.in_(wanted)
    before = {row.segment_id: row.speaker for row in connection.execute(select(c.segment_id, c.speaker).where(ours))}
    if before.keys() != set(wanted):
        raise BadDecision("segments of this episode can be given to another speaker, and no others")
    return {"segments": list(dict.fromkeys(wanted)), "speaker": speaker}, before


def _split(_: Connection, facts: Facts, value: Mapping[str, Any], __: object) -> tuple[Any, Any]:
    at, word = value.get("at"), value.get("word")
    if not isinstance(at, (int, float)) or isinstance(at, bool) or not facts.start < at < facts.end:
        raise BadDecision("a segment is split at a second within it")
    if not isinstance(word, int) or isinstance(word, bool) or word < 1:
        raise BadDecision("a segment is split before a word that is not its first")
    kept: dict[str, Any] = {"word": word, "at": float(at)}
    if value.get("speakers") is not None:
        speakers = _list(value["speakers"], "speakers")
        if len(speakers) != 2:
            raise BadDecision("both parts have a speaker")
        kept["speakers"] = [_string({"s": s}, "s", _MAX_NAME, "a speaker's label") for s in speakers]
    return kept, None


def _join(connection: Connection, facts: Facts, value: Mapping[str, Any], __: object) -> tuple[Any, Any]:
    assert facts.segment_index is not None
    c, ref = SEGMENTS.c, facts.ref
    ours = (c.batch == ref.batch) & (c.episode_id == ref.episode_id) & (c.segment_index == facts.segment_index + 1)
    after = connection.scalar(select(c.segment_id).where(ours))
    if after is None or value.get("with") != after:
        raise BadDecision("a segment is joined with the one after it")
    return {"with": after}, None


def _takedown(_: Connection, facts: Facts, value: Mapping[str, Any], __: object) -> tuple[Any, Any]:
    if value.get("scope") not in ("episode", "podcast"):
        raise BadDecision("an episode or a podcast is taken down")
    if value["scope"] == "podcast" and facts.podcast is None:
        raise BadDecision("the episode belongs to no podcast that is known")
    reason = _string(value, "reason", MAX_NOTE, "the reason").strip()
    if not reason:
        raise BadDecision("a takedown needs a reason")
    target = facts.podcast if value["scope"] == "podcast" else f"{facts.ref.batch}/{facts.ref.episode_id}"
    return {"scope": value["scope"], "target": target, "reason": reason}, None


def _string(value: Mapping[str, Any], name: str, longest: int, what: str) -> str:
    found = value.get(name)
    if not isinstance(found, str) or len(found) > longest:
        raise BadDecision(f"{what} is a text of at most {longest} characters")
    return clean_text(found)


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, (list, tuple)) or len(value) > MAX_TEXT:
        raise BadDecision(f"{what} is a list")
    return list(value)
