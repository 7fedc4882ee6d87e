"""Exports of decisions to files, and imports."""

import json
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import IO, Any, Literal, get_args

import polars as pl
from sqlalchemy import Engine, select
from sqlalchemy.dialects.postgresql import insert

from podcast_assets.catalog.migrate import check_version
from podcast_assets.catalog.tables import CONTENT_FLAGS, DECISIONS, SEGMENTS
from podcast_assets.common.errors import BadInput
from podcast_assets.review.decision_rows import decision_row, from_json_row, to_jsonl
from podcast_assets.review.decisions import Decision, read_decisions
from podcast_assets.review.label_studio import UnknownTask, from_tasks, to_tasks
from podcast_assets.review.queues import refresh_queues
from podcast_assets.review.records import Action
from podcast_assets.review.refs import ItemRef
from podcast_assets.store.schema import make_table
from podcast_assets.store.schema_beside import REVIEW_DECISIONS

Format = Literal["parquet", "jsonl", "label-studio"]
FORMATS: tuple[Format, ...] = get_args(Format)
_PORTION = 1_000
_IMPORTED: frozenset[Action] = frozenset(
    ("label", "text", "rename_speaker", "reassign", "split", "join", "skip", "undo")
)
"""Actions that are imported. Takedowns, retries and discards are asked for where they are carried out."""


@dataclass
class ImportedDecisions:
    """What became of the decisions of a file."""

    added: int = 0
    known: int = 0
    """Decisions that were imported before, or made here."""
    unknown: dict[str, int] = field(default_factory=dict)
    """Why others were passed over → their number."""


def export_decisions(
    engine: Engine, out: IO[bytes], kind: Format, *, batches: Collection[str] = (), reviewers: bool = True
) -> int:
    """Write all decisions to a file, and return their number.

    Args:
        engine: engine of the catalog.
        out: the file.
        kind: format of the file.
        batches: only of these batches; of all if it is empty.
        reviewers: whether reviewers are named; otherwise they are `reviewer 1`, `reviewer 2` and so on, by their names' order.

    Raises:
        Misconfigured: the catalog's tables are of another version, or do not exist.
    """
    decisions = _read(engine, batches)
    if not reviewers:
        given = list(decisions)
        names = {name: f"reviewer {n}" for n, name in enumerate(sorted({d.decided_by for d in given}), 1)}
        decisions = (_renamed(decision, names[decision.decided_by]) for decision in given)
    if kind == "jsonl":
        count = 0
        for line in to_jsonl(decisions):
            out.write(line.encode())
            count += 1
        return count
    found = list(decisions)
    if kind == "parquet":
        rows = [decision_row(decision) for decision in found]
        table = make_table(rows, REVIEW_DECISIONS).with_columns(
            pl.Series("batch", [decision.ref.batch for decision in found], pl.String)
        )
        table.select("batch", *REVIEW_DECISIONS).write_parquet(out)
    else:
        items = _items(engine, dict.fromkeys(d.ref for d in found if d.ref.kind != "failure"))
        out.write(json.dumps(to_tasks(items, found), ensure_ascii=False, indent=1).encode())
    return len(found)


def import_decisions(engine: Engine, data: bytes, kind: Format) -> ImportedDecisions:
    """Add the decisions of a file that this catalog has the items of. Importing a file twice adds nothing.

    Args:
        engine: engine of the catalog.
        data: content of the file.
        kind: its format; parquet is for export only.

    Raises:
        BadInput: the file is not of this format; the message says where.
        Misconfigured: the catalog's tables are of another version, or do not exist.
    """
    given = _parse(data, kind)
    done = ImportedDecisions()
    known = _known_refs(engine, {decision.ref for decision in given})
    rows = []
    for decision in given:
        why = None
        if decision.action not in _IMPORTED:
            why = f"{decision.action} is not imported"
        elif decision.ref not in known:
            why = "the item is not in the catalog"
        elif not _fits(decision.action, decision.value):
            why = "the value is not one of its action"
        if why is None:
            rows.append(_row(decision))
        else:
            done.unknown[why] = done.unknown.get(why, 0) + 1
    with engine.begin() as connection:
        check_version(connection)
        for start in range(0, len(rows), _PORTION):
            part = rows[start : start + _PORTION]
            added = connection.execute(
                insert(DECISIONS).values(part).on_conflict_do_nothing().returning(DECISIONS.c.decision_id)
            )
            done.added += len(added.all())
    done.known = len(rows) - done.added
    refresh_queues(engine, batches={ref.batch for ref in known})
    return done


def _parse(data: bytes, kind: Format) -> list[Decision]:
    if kind == "label-studio":
        try:
            tasks = json.loads(data)
            if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
                raise BadInput("a Label Studio export is a list of tasks: choose JSON there, not JSON-MIN or CSV")
            return from_tasks(tasks)
        except UnknownTask as error:
            raise BadInput(str(error)) from None
        except ValueError as error:
            raise BadInput(f"the file is not JSON: {error}") from None
    if kind != "jsonl":
        raise BadInput(f"{kind} can be exported and not imported: use jsonl or label-studio")
    found = []
    for number, line in enumerate(data.splitlines(), 1):
        if line.strip():
            try:
                found.append(from_json_row(json.loads(line)))
            except ValueError as error:
                raise BadInput(f"line {number} is no decision: {error}") from None
    return found


def _fits(action: Action, value: Any) -> bool:
    """Whether a value has the form that `records.Decision` describes. None fits: a takedown empties values."""
    if value is None or action in ("skip", "undo"):
        return value is None
    if not isinstance(value, Mapping):
        return False
    if action == "label":
        return all(isinstance(slug, str) and isinstance(applies, bool) for slug, applies in value.items())
    if action == "text":
        return isinstance(value.get("text"), str) and isinstance(value.get("words"), list | None)
    if action == "reassign":
        return isinstance(value.get("segments"), list) and isinstance(value.get("speaker"), str)
    if action == "rename_speaker":
        podcast = value.get("scope") == "episode" or isinstance(value.get("podcast"), str)
        return value.get("scope") in ("episode", "podcast") and podcast and isinstance(value.get("speaker"), str)
    return isinstance(value.get("at"), int | float) if action == "split" else "with" in value


def _row(decision: Decision) -> dict[str, Any]:
    names = {c.name for c in DECISIONS.columns} & set(Decision.__dataclass_fields__)
    return {
        **{name: getattr(decision, name) for name in names - {"reported_at", "user_id"}},
        # of another catalog's users
        "user_id": uuid.uuid5(uuid.NAMESPACE_URL, f"podcast-assets reviewer {decision.decided_by}"),
        "item_kind": decision.ref.kind,
        "batch": decision.ref.batch,
        "episode_id": decision.ref.episode_id,
        "item_id": decision.ref.item_id,
    }


def _known_refs(engine: Engine, refs: Collection[ItemRef]) -> set[ItemRef]:
    """Those that the catalog has; failures are not asked for."""
    batches = sorted({ref.batch for ref in refs})
    s, f = SEGMENTS.c, CONTENT_FLAGS.c
    with engine.connect() as connection:
        check_version(connection)
        rows = connection.execute(select(s.batch, s.episode_id, s.segment_id).where(s.batch.in_(batches)))
        segments = {ItemRef.segment(*row) for row in rows}
        query = select(f.batch, f.episode_id, f.policy, f.window).where(f.batch.in_(batches)).distinct()
        windows = {ItemRef.window(*row) for row in connection.execute(query)}
    return set(refs) & (segments | windows)


def _read(engine: Engine, batches: Collection[str]) -> Iterator[Decision]:
    with engine.connect() as connection:
        check_version(connection)
    if not batches:
        yield from read_decisions(engine)
    for batch in batches:
        yield from read_decisions(engine, batch=batch)


def _renamed(decision: Decision, name: str) -> Decision:
    return replace(decision, decided_by=name, user_id=None, session=None)


def _items(engine: Engine, refs: Iterable[ItemRef]) -> list[Mapping[str, Any]]:
    """Facts of segments and windows for Label Studio; those that the catalog lacks have an id only."""
    wanted = list(refs)
    batches = sorted({ref.batch for ref in wanted})
    s, f = SEGMENTS.c, CONTENT_FLAGS.c
    facts: dict[ItemRef, dict[str, Any]] = {}
    with engine.connect() as connection:
        rows = connection.execute(
            select(s.batch, s.episode_id, s.segment_id, s.start, s.end, s.text, s.speaker, s.language).where(
                s.batch.in_(batches)
            )
        )
        texts = {}
        for row in rows:
            ref = ItemRef.segment(row.batch, row.episode_id, row.segment_id)
            texts[row.batch, row.segment_id] = row.text or ""
            facts[ref] = {name: getattr(row, name) for name in ("start", "end", "text", "speaker", "language")}
        flags = connection.execute(
            select(f.batch, f.episode_id, f.policy, f.window, f.start, f.end, f.segment_ids, f.label)
            .where(f.batch.in_(batches))
            .order_by(f.label)
        )
        for row in flags:
            said = " ".join(texts.get((row.batch, segment), "") for segment in row.segment_ids)
            window = facts.setdefault(
                ItemRef.window(row.batch, row.episode_id, row.policy, row.window),
                {"start": row.start, "end": row.end, "text": said, "policy": row.policy, "labels": []},
            )
            window["labels"].append(row.label)
    return [{**facts.get(ref, {}), "ref": ref} for ref in wanted]
