"""Decisions as rows of a table, and back. No I/O."""

import datetime
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import polars as pl

from podcast_assets.review.decisions import Decision
from podcast_assets.review.refs import ItemRef
from podcast_assets.store.schema import make_table
from podcast_assets.store.schema_beside import REVIEW_DECISIONS

_JSON = ("value", "previous", "shown")


def decision_row(decision: Decision) -> dict[str, Any]:
    """Make a row REVIEW_DECISIONS of a decision."""
    same = set(REVIEW_DECISIONS).intersection(Decision.__dataclass_fields__).difference(_JSON)
    return {
        **{name: getattr(decision, name) for name in same},
        "decision_id": str(decision.decision_id),
        "item_kind": decision.ref.kind,
        "episode_id": decision.ref.episode_id,
        "item_id": decision.ref.item_id,
        **{name: _to_json(getattr(decision, name)) for name in _JSON},
        "undoes": None if decision.undoes is None else str(decision.undoes),
    }


def decision_table(decisions: Iterable[Decision]) -> pl.DataFrame:
    """Make the table REVIEW_DECISIONS, in the order of the decisions."""
    return make_table([decision_row(decision) for decision in decisions], REVIEW_DECISIONS)


def to_jsonl(decisions: Iterable[Decision]) -> Iterator[str]:
    """Make a line of JSON per decision: columns of REVIEW_DECISIONS with `batch`, and values as JSON, not as text."""
    for decision in decisions:
        row = decision_row(decision) | {name: getattr(decision, name) for name in _JSON}
        row = {"batch": decision.ref.batch, **{name: row[name] for name in REVIEW_DECISIONS}}
        yield json.dumps(row, ensure_ascii=False, default=_to_text) + "\n"


def from_json_row(row: Mapping[str, Any]) -> Decision:
    """Make a decision of a line that `to_jsonl` wrote.

    Raises:
        ValueError: it is not such a row; the message says why.
    """
    try:
        return Decision(
            decision_id=uuid.UUID(row["decision_id"]),
            ref=ItemRef(row["item_kind"], row["batch"], row["episode_id"], row["item_id"]),
            action=row["action"],
            undoes=uuid.UUID(row["undoes"]) if row.get("undoes") else None,
            user_id=None,
            decided_by=row["decided_by"],
            look=int(row.get("look") or 1),
            decided_at=datetime.datetime.fromisoformat(row["decided_at"]),
            **{
                name: row.get(name)
                for name in (
                    *_JSON,
                    *(
                        "queue",
                        "policy",
                        "policy_version",
                        "policy_hash",
                        "confidence",
                        "note",
                        "seconds",
                        "role",
                        "session",
                    ),
                )
            },
        )
    except KeyError as error:
        raise ValueError(f"it has no {error.args[0]!r}") from None
    except (TypeError, AttributeError) as error:
        raise ValueError(str(error)) from None


def _to_json(value: object) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True, default=_to_text)


def _to_text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime.datetime) else str(value)
