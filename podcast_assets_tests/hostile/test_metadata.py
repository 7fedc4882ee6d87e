"""Metadata of any kind: every value comes out as it went in, and what cannot be read is named."""

import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podcast_assets.common.errors import BadInput
from podcast_assets.intake import metadata, unpack
from podcast_assets.intake.arrivals import find_arrival
from podcast_assets.intake.metadata import NotMetadata, join_metadata, open_metadata
from podcast_assets.intake.tables import KNOWN_COLUMNS, fold_name
from podcast_assets.store.store import Store
from podcast_assets_tests.hostile.mutations import mutated

pytestmark = pytest.mark.hostile

ROWS = 40
TABLE = pl.DataFrame(
    {
        "meta_id": [f"e{n}" for n in range(ROWS)],
        "title": [f"Tïtle {n}" for n in range(ROWS)],
        "n": range(ROWS),
        "list": [[n, n + 1] for n in range(ROWS)],
        "share": [n / 7 for n in range(ROWS)],
    }
)


def parquet(table: pl.DataFrame, **options: Any) -> bytes:
    out = io.BytesIO()
    table.write_parquet(out, **options)
    return out.getvalue()


def jsonl(rows: list[Any]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


KINDS: dict[str, Callable[[], bytes]] = {
    "zstd.parquet": lambda: parquet(TABLE),
    "snappy.parquet": lambda: parquet(TABLE, compression="snappy"),
    "arrow.parquet": lambda: parquet(TABLE, use_pyarrow=True),
    "table.csv": lambda: TABLE.drop("list").write_csv().encode(),
    "lines.jsonl": lambda: TABLE.write_ndjson().encode(),
}


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_metadata_are_joined_or_named(kind: str) -> None:
    """22 of each of five kinds: with the archives, more than 200 files."""
    whole, sources, named = KINDS[kind](), [f"e{n}.mp3" for n in range(ROWS)], 0
    for seed in range(22):
        try:
            file = open_metadata(kind, mutated(whole, 1_000 + seed))
        except BadInput as error:
            named += 1
            assert kind in str(error) or isinstance(error, NotMetadata)
            continue
        joined = join_metadata(sources, [file])
        assert set(joined.rows) <= set(sources)
        assert set(joined.broken) <= {kind}
        named += bool(joined.broken or joined.files_without_metadata or joined.metadata_without_file)
    assert named > 3, "the damage is none"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
IDS = st.text(st.characters(codec="utf-8", exclude_categories=["C"], exclude_characters="/\\"), min_size=1, max_size=12)
NAMES = {fold_name(name) for name in (*KNOWN_COLUMNS, "meta_id")}
"""Names with a meaning, which a file may spell otherwise."""


@settings(max_examples=80, deadline=None, derandomize=True, database=None)
@given(
    rows=st.dictionaries(
        IDS, st.dictionaries(st.text().filter(lambda k: fold_name(k) not in NAMES), JSON, max_size=5), max_size=5
    )
)
def test_json_comes_out_as_it_went_in(rows: dict[str, dict[str, Any]]) -> None:
    if not rows:
        return
    file = open_metadata("m.jsonl", jsonl([row | {"meta_id": identity} for identity, row in rows.items()]))
    assert dict(file.rows(list(rows))) == {i: row | {"meta_id": i} for i, row in rows.items()}


def test_types_are_neither_guessed_nor_made_alike() -> None:
    rows = [
        {"meta_id": 7, "n": 1, "id": "007", "big": 2**80, "deep": {"meta_id": "no"}},
        {"deep": {"meta_id": "not this"}, "meta_id": "a\\b", "n": 1.5, "id": 7},
        {"meta_id": "ä\u2028", "n": None, "only here": [1, "x", None]},
        {"n": 3},
    ]
    file = open_metadata("m.jsonl", jsonl(rows))
    assert file.ids.to_list() == ["7", "a\\b", "ä\u2028", None]
    found = dict(file.rows(["7", "a\\b", "ä\u2028"]))
    assert found == {"7": rows[0], "a\\b": rows[1], "ä\u2028": rows[2]}
    csv = open_metadata("m.csv", b"meta_id,zip,when\n1,01234,2024-02-30\n")
    assert dict(csv.rows(["1"])) == {"1": {"meta_id": "1", "zip": "01234", "when": "2024-02-30"}}


@pytest.mark.parametrize(
    ("name", "data", "match"),
    [
        ("m.jsonl", b'{"meta_id": "a"}\n{"meta_id": "b"', "line 2 is not a JSON object"),
        ("m.jsonl", b"[1, 2]\n", "line 1 is not a JSON object"),
        ("m.jsonl", b'{"meta_id": "a\xff"}\n', "cannot be read as jsonl"),
        ("m.jsonl", b'{"meta_id": ["a"]}\n', "neither text nor a number"),
        ("m.jsonl", b'{"meta_id": ' + b"[" * 200_000 + b"]" * 200_000 + b"}\n", "m.jsonl"),
        ("m.csv", "meta_id,t\n1,über\n".encode() + b"2,\xff\n", "cannot be read as csv"),
        ("m.csv", b"", "cannot be read as csv"),
        ("m.parquet", b"PAR1 no PAR1", "cannot be read as parquet"),
    ],
)
def test_what_cannot_be_read_says_so(name: str, data: bytes, match: str) -> None:
    with pytest.raises(BadInput, match=match) as error:
        open_metadata(name, data)
    assert name in str(error.value)


def test_a_line_that_is_no_json_is_found_when_it_is_wanted() -> None:
    file = open_metadata("m.jsonl", b'{"meta_id": "a", oops}\n{"meta_id": "b"}\n')
    joined = join_metadata(["a.mp3", "b.mp3"], [file])
    assert "m.jsonl cannot be read as jsonl" in joined.broken["m.jsonl"]


def test_a_key_inside_something_else_is_no_id_and_windows_marks_are_no_harm() -> None:
    lines = b'\xef\xbb\xbf{"meta_id": "a"}\r\n\r\n{"inside": {"meta_id": "b"}}\r\n'
    joined = join_metadata(["a.mp3", "b.mp3"], [open_metadata("m.jsonl", lines)])
    assert (joined.rows, joined.broken) == ({"a.mp3": {"meta_id": "a"}}, {})


def test_two_hundred_columns_are_kept() -> None:
    wide = pl.DataFrame({"meta_id": ["a"]} | {f"c{n}": [n if n % 2 else f"t{n}"] for n in range(200)})
    joined = join_metadata(["a.mp3"], [open_metadata("m.parquet", parquet(wide))])
    text = metadata.to_json(joined.of("a.mp3"))
    assert text is not None
    assert json.loads(text) == {"meta_id": "a"} | {f"c{n}": n if n % 2 else f"t{n}" for n in range(200)}


def test_of_many_that_do_not_fit_the_first_are_named_and_all_are_counted() -> None:
    count = 5_000
    table = pl.DataFrame({"meta_id": [f"{n // 2:05d}" for n in range(count)]})
    joined = join_metadata(["00007.mp3", "other.mp3"], [open_metadata("m.parquet", parquet(table))])
    assert joined.files_without_metadata == ["other.mp3"]
    assert (joined.ids_without_file, joined.ids_repeated) == (count // 2 - 1, count // 2)
    assert joined.metadata_without_file == [f"{n:05d}" for n in range(metadata.NAMED + 1) if n != 7]
    assert len(joined.duplicate_ids) == metadata.NAMED


def test_any_column_may_hold_the_names(tmp_path: Path) -> None:
    store = Store.at(tmp_path)
    store.write("incoming/x/a.mp3", b"a")
    store.write("incoming/x/m.csv", b"meta_id,file\nno,a\n")
    found = unpack.unpack(store, find_arrival(store, "x"))
    assert unpack.read_batch_metadata(found, "file").of("a.mp3")["meta_id"] == "no"
    other = unpack.unpack(store, find_arrival(store, "x"))
    unpack.read_batch_metadata(other, "guid")
    assert "without the column 'guid'" in other.skipped["m.csv"]


def test_metadata_lie_in_files_that_are_gone_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    store = Store.at(tmp_path / "store")
    store.write("incoming/x/e7.mp3", b"a")
    for kind, make in KINDS.items():
        store.write(f"incoming/x/{kind.replace('.', '/m.')}", make())
    found = unpack.unpack(store, find_arrival(store, "x"))
    assert (len(found.metadata), found.broken) == (len(KINDS), {})
    for file in found.metadata:
        row = dict(open_metadata(file.name, file.path).rows(["e7"]))["e7"]
        assert math.isclose(float(row["share"]), 1.0)
    del found
    assert list(scratch.iterdir()) == []


def test_more_rows_than_memory_holds_are_told_by_the_footer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "MAX_ROWS", ROWS - 1)
    with pytest.raises(BadInput, match=r"m\.parquet: 40 rows are more than the limit of 39"):
        open_metadata("m.parquet", parquet(TABLE))


def test_of_an_id_on_all_rows_one_row_is_read() -> None:
    table = pl.DataFrame({"meta_id": ["b", *["a"] * 300_000, "c"], "n": range(300_002)})
    rows = [*open_metadata("m.parquet", parquet(table)).rows(["a", "c", "d"])]
    assert rows == [("a", {"meta_id": "a", "n": 1}), ("c", {"meta_id": "c", "n": 300_001})]
