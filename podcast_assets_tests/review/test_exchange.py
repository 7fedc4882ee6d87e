"""Exports and imports: what leaves comes back the same, once, and nothing else comes in."""

import io
import json
import uuid
from typing import Any

import polars as pl
import pytest
from sqlalchemy import Engine, text

from podcast_assets.common.errors import BadInput
from podcast_assets.review.decisions import decide, effective, read_decisions, undo
from podcast_assets.review.exchange import export_decisions, import_decisions
from podcast_assets.review.queues import Criteria, refresh_queues
from podcast_assets.store.schema_beside import REVIEW_DECISIONS
from podcast_assets_tests.review.conftest import make_user
from podcast_assets_tests.review.filled_catalog import fill_batch, segment_ref, window_ref


@pytest.fixture
def decided(catalog: Engine) -> Engine:
    """A text with an earlier attempt that was undone, and the labels of a window."""
    fill_batch(catalog)
    refresh_queues(catalog, Criteria(second_look=0))
    ada, ben = make_user(catalog, "ada"), make_user(catalog, "ben")
    decide(catalog, ada, segment_ref(0), "text", {"text": "wrong"})
    undo(catalog, ada)
    decide(
        catalog, ada, segment_ref(0), "text", {"text": "corrected, by Ada"}, note="a note", seconds=3.5, confidence=0.9
    )
    decide(catalog, ben, window_ref(0), "label", {"harassment": True, "hate_speech": True}, seconds=2)
    return catalog


def export(engine: Engine, kind: Any, **options: Any) -> bytes:
    out = io.BytesIO()
    export_decisions(engine, out, kind, **options)
    return out.getvalue()


def held(engine: Engine) -> dict[str, Any]:
    return {f"{e.ref.item_id}: {e.action} {e.label}": e.value for e in effective(engine)}


def test_parquet_has_a_row_per_decision_and_can_hide_names(decided: Engine) -> None:
    table = pl.read_parquet(io.BytesIO(export(decided, "parquet")))
    assert table.columns == ["batch", *REVIEW_DECISIONS]
    assert table["action"].to_list() == ["text", "undo", "text", "label"]
    assert json.loads(table["value"][2])["text"] == "corrected, by Ada"
    assert table["undoes"][1] == table["decision_id"][0]
    hidden = export(decided, "jsonl", reviewers=False).decode()
    assert {json.loads(line)["decided_by"] for line in hidden.splitlines()} == {"reviewer 1", "reviewer 2"}
    assert export(decided, "jsonl", batches=["other"]) == b""


def test_json_lines_come_back_as_they_were_and_only_once(decided: Engine) -> None:
    data, before = export(decided, "jsonl"), held(decided)
    assert import_decisions(decided, data, "jsonl").added == 0
    engine = emptied(decided)
    done = import_decisions(engine, data, "jsonl")
    assert (done.added, done.known, done.unknown) == (4, 0, {})
    assert held(engine) == before
    assert export(engine, "jsonl") == data.replace(b'"session": "s"', b'"session": null')


def test_label_studio_shows_what_stands_and_its_annotations_come_back(decided: Engine) -> None:
    before = held(decided)
    tasks = json.loads(export(decided, "label-studio"))
    segment, window = sorted(tasks, key=lambda task: task["data"]["item_kind"])
    assert [a["completed_by"] for a in segment["annotations"]] == [{"email": "ada"}]
    assert segment["annotations"][0]["result"][0]["value"] == {"text": ["corrected, by Ada"]}
    assert window["data"]["labels"] == [{"value": "harassment"}, {"value": "hate_speech"}]
    engine = emptied(decided)
    # as another annotator of Label Studio would leave it, beside a skipped one
    other = {
        "id": 7,
        "completed_by": {"id": 3, "email": "Cleo@example.org"},
        "created_at": "2030-01-01T00:00:00Z",
        "lead_time": 9,
    }
    result = [{"type": "choices", "from_name": "which", "value": {"choices": ["harassment"]}}]
    window["annotations"] += [other | {"result": result}, other | {"id": 8, "was_cancelled": True, "result": result}]
    data = json.dumps(tasks).encode()
    assert import_decisions(engine, data, "label-studio").added == 3
    assert import_decisions(engine, data, "label-studio").known == 3
    after = held(engine)
    corrected = next(key for key in before if ": text" in key)
    assert after[corrected]["text"] == before[corrected]["text"]
    made = {d.decided_by: (d.look, d.value) for d in read_decisions(engine) if d.action == "label"}
    assert made == {
        "ben": (1, {"harassment": True, "hate_speech": True}),
        "cleo@example.org": (2, {"harassment": True, "hate_speech": False}),
    }


def test_what_does_not_fit_stays_out_and_is_counted(decided: Engine) -> None:
    row = json.loads(export(decided, "jsonl").splitlines()[2])
    bad = [
        row | {"decision_id": str(uuid.uuid4()), "item_id": "of another store"},
        row | {"decision_id": str(uuid.uuid4()), "action": "takedown", "value": {"scope": "podcast"}},
        row | {"decision_id": str(uuid.uuid4()), "value": {"text": ["a list"]}},
    ]
    done = import_decisions(decided, "\n".join(map(json.dumps, bad)).encode(), "jsonl")
    assert done.added == 0
    assert done.unknown == {
        "the item is not in the catalog": 1, "takedown is not imported": 1, "the value is not one of its action": 1,
    }  # fmt: skip
    for data, kind, why in (
        (b'{"decision_id": "x"}', "jsonl", "line 1 is no decision"),
        (b"[{}]", "label-studio", "task 1 names no item"),
        (b'{"a": 1}', "label-studio", "a list of tasks"),
        (b"\x00", "label-studio", "not JSON"),
        (b"", "parquet", "not imported"),
    ):
        with pytest.raises(BadInput, match=why):
            import_decisions(decided, data, kind)  # type: ignore[arg-type]


def emptied(engine: Engine) -> Engine:
    """The same catalog without its decisions, as another one that has loaded the same batches."""
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("TRUNCATE podcast_catalog.decisions"))
    return engine
