"""Tables as spreadsheets, databases and scripts write them: ids by value, any separator, any encoding, any header."""

import io
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from podcast_assets.common.errors import BadInput
from podcast_assets.intake import encodings, unpack
from podcast_assets.intake.arrivals import find_arrival
from podcast_assets.intake.inspection import inspect_inputs
from podcast_assets.intake.links import parse_link_list
from podcast_assets.intake.metadata import JoinedMetadata, join_metadata, open_metadata
from podcast_assets.intake.references import parse_cues
from podcast_assets.intake.submit import FEEDS, submit_feeds
from podcast_assets.store.store import Store

TITLE = "Müller über „Größe“, Teil 1; oder 2"


def parquet(**columns: Any) -> bytes:
    out = io.BytesIO()
    pl.DataFrame(columns, strict=False).write_parquet(out)
    return out.getvalue()


def joined(name: str, data: bytes, *sources: str) -> JoinedMetadata:
    return join_metadata(sources or ("101.mp3",), [open_metadata(name, data)])


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("floats.parquet", parquet(meta_id=[101.0, None, float("nan")])),
        ("small floats.parquet", parquet(meta_id=pl.Series([101.0], dtype=pl.Float32))),
        ("integers.parquet", parquet(meta_id=[101])),
        ("small integers.parquet", parquet(meta_id=pl.Series([101], dtype=pl.UInt8))),
        ("decimals.parquet", parquet(meta_id=[Decimal("101.00")])),
        ("categories.parquet", parquet(meta_id=pl.Series(["101"], dtype=pl.Categorical))),
        ("bytes.parquet", parquet(meta_id=[b"101"])),
        ("texts.parquet", parquet(meta_id=["101.0"])),
        ("spaces.parquet", parquet(meta_id=[" 101 "])),
        ("header.parquet", parquet(**{"Meta ID": [101.0]})),
        ("floats.csv", b"meta_id\n101.0\n,\n"[:-2]),
        ("german.csv", b"meta_id;n\n101,0;1,5\n"),
        ("floats.jsonl", b'{"meta_id": 101.0}\n'),
        ("header.jsonl", b'{"Meta-ID": 101}\n{"Meta-ID": 102}\n'),
        ("tabs.tsv", b"title\tmeta_id\nx, y\t101\n"),
        ("lines.ndjson", b'{"meta_id": 101}\n'),
        ("sixteen.jsonl", '{"meta_id": "101", "title": "ü"}\n'.encode("utf-16")),
    ],
)
def test_ids_are_compared_by_value(name: str, data: bytes) -> None:
    found = joined(name, data)
    assert (list(found.rows), found.unused, found.metadata_without_file) in (
        (["101.mp3"], [], []),
        (["101.mp3"], [], ["102"]),
    )


def test_the_column_that_is_set_as_the_key_keeps_its_name() -> None:
    for key, header in (("Title", "Title"), ("File Name", "filename"), ("title", " TITLE "), ("url", "url")):
        file = open_metadata("m.csv", f"{header},x\n101,y\n".encode(), key)
        assert list(file.rows(["101"])) == [("101", {key: "101", "x": "y"})]


def test_leading_zeros_count_and_what_is_equal_as_it_is_goes_first() -> None:
    assert not joined("m.csv", b"meta_id\n7\n", "007.mp3").rows
    assert list(joined("m.parquet", parquet(meta_id=["007"]), "007.mp3", "7.mp3").rows) == ["007.mp3"]
    found = joined("m.csv", b"meta_id,t\n1.0,one\n1,two\n", "1.0.mp3", "1.mp3")
    assert {source: row["t"] for source, row in found.rows.items()} == {"1.0.mp3": "one", "1.mp3": "two"}
    assert joined("m.csv", b"meta_id,t\n101.0,one\n101,two\n").of("101.mp3")["t"] == "one"
    assert not joined("m.parquet", parquet(meta_id=[101.5]), "101.mp3").rows


PLAIN = [{"meta_id": "101", "title": TITLE, "notes": ""}, {"meta_id": "102", "title": "x", "notes": "a|b"}]


def written(separator: str, *, header: str = "meta_id title notes", end: str = "\n", quote: str = '"') -> str:
    rows = [header.split(" "), *([*row.values()] for row in PLAIN)]
    return "".join(separator.join(f"{quote}{v}{quote}" for v in row) + end for row in rows)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_csv_is_read_in_any_encoding_with_any_separator(separator: str, encoding: str) -> None:
    found = joined("m.csv", written(separator).encode(encoding), "101.mp3", "102.mp3")
    assert [found.of(s)["title"] for s in ("101.mp3", "102.mp3")] == [TITLE, "x"]


@pytest.mark.parametrize(
    "text",
    [
        written(";", header="Meta_ID Title Notes"),
        written(";", header="META-ID TITLE NOTES"),
        written(",", header="MetaId TITLE Notes").replace('"MetaId"', '" Meta Id "'),
        written(",", end="\r\n"),
        written(",", end="\r"),
        written(";", quote="'"),
        "sep=;\n" + written(";"),
        "\n\r\n" + written("\t"),
        written(", "),
        written("^"),
        "# an export, of today\nAll episodes\n" + written(";"),
        "id;meta_id;title;notes\n" + "".join(f'{n};{r["meta_id"]};"{r["title"]}";\n' for n, r in enumerate(PLAIN)),
    ],
)
def test_csv_is_read_in_any_dialect(text: str) -> None:
    found = joined("m.csv", text.encode(), "101.mp3", "102.mp3")
    assert [found.of(s).get("title") for s in ("101.mp3", "102.mp3")] == [TITLE, "x"]


@pytest.mark.parametrize(
    "text",
    [
        'meta_id,url,title\n101,"https://x.org/?a=1;b=2;c=3|d",One\n102,"https://x.org/?a=1;b=2;c=3|e",Two\n',
        "meta_id,title,at\n101,One,12:30:00\n102,Two,13:45:10\n",
        "meta_id,title\n101,One\n",
        "meta_id,title\n",
        "meta_id\n101\n102\n",
        'meta_id,title,quote\n101,It\'s \'One\',"a ""b"""\n102,\'tis Two,\n',
    ],
)
def test_plain_csv_stays_what_it_was(text: str) -> None:
    expected = list(pl.read_csv(text.encode(), infer_schema=False).iter_rows(named=True))
    assert [row for _, row in open_metadata("m.csv", text.encode()).rows(["101", "102"])] == expected


@pytest.mark.parametrize(
    ("encoding", "title"),
    [
        *[
            ("cp1251", "Привет, мир"),
            ("cp1250", "Zażółć gęślą jaźń"),
            ("shift_jis", "こんにちは世界、日本語の番組です"),
        ],
        *[("gb18030", "你好世界中文播客节目"), ("cp949", "안녕하세요 한국어 방송"), ("cp1253", "Καλημέρα κόσμε")],
        *[("cp1252", "L\u2019été à Orléans"), ("cp1252", "Åse på Øya"), ("cp1252", "naïve café")],
        *[
            ("cp1254", "Günayd\u0131n İstanbul şehri"),
            ("cp1257", "Rīga, Latvija ļoti"),
            ("mac_roman", "Müller über Straße"),
        ],
    ],
)
def test_encodings_that_nothing_declares_are_found(encoding: str, title: str) -> None:
    data = f"meta_id;title\n101;{title}\n".encode(encoding)
    assert joined("m.csv", data).of("101.mp3")["title"] == title


def test_damage_is_no_other_encoding(tmp_path: Path) -> None:
    data = f"meta_id;title\n101;{TITLE}\n102;".encode() + b"\xff broken\n"
    with pytest.raises(BadInput, match=r"metadata m\.csv cannot be read as csv: it is UTF-8 with damaged characters"):
        open_metadata("m.csv", data)
    store = Store.at(tmp_path)
    store.write("incoming/x/101.mp3", b"a")
    store.write("incoming/x/m.csv", data)
    found = unpack.unpack(store, find_arrival(store, "x"))
    unpack.read_batch_metadata(found)
    assert list(found.broken) == ["m.csv"]


def test_a_large_table_is_converted_through_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    path = tmp_path / "m.csv"
    path.write_bytes(written(";", quote="'").encode("cp1252"))
    file = open_metadata("m.csv", path)
    assert dict(file.rows(["101"]))["101"]["title"] == TITLE
    assert len(list((tmp_path / "scratch").iterdir())) == 1
    del file
    assert not list((tmp_path / "scratch").iterdir())


def test_a_transcript_in_a_cell_of_any_length_is_read() -> None:
    text = f"meta_id;transcripts\n'101';'{'a, b; ' * 50_000}'\n'102';'x'\n"
    assert len(joined("m.csv", text.encode()).of("101.mp3")["transcripts"]) == 300_000


def test_lists_of_urls_and_feeds_go_the_same_way(tmp_path: Path) -> None:
    data = f"URL;Title;Podcast GUID;Guid\nhttps://x.org/1.mp3;{TITLE.replace(';', ',')};p;g\n".encode("cp1252")
    (link,) = parse_link_list("x.csv", data).links
    assert (link.url, link.row["title"], link.identity is not None) == (
        "https://x.org/1.mp3",
        TITLE.replace(";", ","),
        True,
    )
    (link,) = parse_link_list("x.jsonl", '{"Url": "https://x.org/1.mp3"}\n'.encode("utf-16")).links
    assert link.row == {"url": "https://x.org/1.mp3"}
    (link,) = parse_link_list("x.parquet", parquet(URL=["https://x.org/1.mp3"], day=[date(2026, 1, 2)])).links
    assert link.row["day"] == "2026-01-02"
    store = Store.at(tmp_path)
    store.write(FEEDS, "Hours;URL\n4;https://y.org/feed\n".encode("utf-16"))
    assert submit_feeds(store, ["https://y.org/feed", "pcast://z.org/feed"], {}) == 1
    assert store.read(FEEDS).decode() == "hours,url,language\n4,https://y.org/feed,\n,http://z.org/feed,\n"


def test_transcripts_of_publishers_are_read_in_their_encoding() -> None:
    srt = "1\n00:00:01,000 --> 00:00:02,000\nMüller läuft über die Straße\n"
    for encoding in ("utf-8-sig", "utf-16", "cp1252"):
        assert parse_cues(srt.encode(encoding), "srt")[0]["text"] == "Müller läuft über die Straße"
    assert encodings.decode_text("größer und größer".encode() + b"\xff") == "größer und größer\ufffd"


def test_what_joins_nothing_says_what_its_ids_look_like(tmp_path: Path) -> None:
    (warning,) = joined("m.csv", b"meta_id,file\nep 1,101\nep 2,102\n").unused
    assert (warning.kind, warning.source) == ("metadata_joined_nothing", "m.csv")
    assert warning.message == (
        "none of its 2 ids in 'meta_id' is the name of a recording without suffix; an id is 'ep 1'. "
        "PODCAST_META_KEY names another column"
    )
    assert not join_metadata([], [open_metadata("m.csv", b"meta_id\n1\n")]).unused, "there is nothing to join"
    (tmp_path / "101.mp3").write_bytes(b"a")
    (tmp_path / "m.csv").write_bytes(b"meta_id\nep 1\n")
    (tmp_path / "n.csv").write_bytes(b"id\nep 1\n")
    (tmp_path / "o.parquet").write_bytes(b"no table")
    found = {w.source: w.kind for w in inspect_inputs([tmp_path], "meta_id")}
    nothing = "metadata_joined_nothing"
    assert found == {"m.csv": nothing, "n.csv": nothing, "o.parquet": "metadata_failed"}
    (tmp_path / "more.zip").write_bytes(b"PK")
    assert "m.csv" not in {w.source for w in inspect_inputs([tmp_path], "meta_id")}, "it may be for the archive"
