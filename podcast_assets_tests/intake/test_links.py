"""Lists of URLs: what of them is taken, and what is said of the rest."""

import json
from io import BytesIO

import polars as pl
import pytest

from podcast_assets.common.errors import BadInput
from podcast_assets.common.redaction import redact_url
from podcast_assets.intake.arrivals import IncomingFile, group_by_batch
from podcast_assets.intake.downloads.urls import redact_url_distinctly
from podcast_assets.intake.links import feed_episode_id, parse_link_list


def test_lists_are_batches_and_metadata_beside_one_are_not() -> None:
    files = ["a.jsonl", "b.csv", "c.parquet", "d.tar", "d.meta.csv", "e/list.csv"]
    found = group_by_batch(IncomingFile(name, 1, 0.0) for name in files)
    assert {b: a.is_list for b, a in found.arrivals.items()} == {
        "a": True,
        "b": True,
        "c": True,
        "d": False,
        "e": False,
    }


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_every_format_gives_the_same_links_and_keeps_all_columns(suffix: str) -> None:
    rows = [{"url": f"https://a.example/{n}.mp3", "language": "de", "odd column": str(n)} for n in range(3)]
    frame, buffer = pl.DataFrame(rows), BytesIO()
    {"jsonl": frame.write_ndjson, "csv": frame.write_csv, "parquet": frame.write_parquet}[suffix](buffer)
    found = parse_link_list(f"list.{suffix}", buffer.getvalue())
    assert [link.row for link in found.links] == rows
    assert [link.source for link in found.links] == [row["url"] for row in rows]


def test_bad_rows_are_named_one_by_one() -> None:
    lines = [
        '{"url": "https://a.example/1.mp3"}',
        "{broken",
        "[1]",
        '{"url": null}',
        '{"url": "https://a.example/1.mp3", "title": "again"}',
        '{"url": "https://a.example/2.mp3"}',
    ]
    found = parse_link_list("list.jsonl", "\n".join(lines).encode())
    assert [link.source for link in found.links] == ["https://a.example/1.mp3", "https://a.example/2.mp3"]
    assert found.broken == {
        "list.jsonl, row 2": "it is not JSON",
        "list.jsonl, row 3": "it is not a JSON object",
        "list.jsonl, row 4": "it has no url",
    }
    assert list(found.skipped.values()) == ["the same URL as https://a.example/1.mp3"]


@pytest.mark.parametrize(
    ("name", "data"), [("a.csv", b"link\nhttps://a.example"), ("a.parquet", b"PAR1 no"), ("a.jsonl", b"")]
)
def test_what_is_no_list_is_said(name: str, data: bytes) -> None:
    with pytest.raises(BadInput, match=name):
        parse_link_list(name, data)


def test_secrets_of_urls_are_not_shown_and_different_urls_stay_different() -> None:
    one, two = (f"https://me:hunter2@a.example:8443/e.mp3?token=hunter{n}" for n in (2, 3))
    assert redact_url(one) == "https://a.example:8443/e.mp3"
    assert redact_url_distinctly(one) != redact_url_distinctly(two)
    found = parse_link_list(
        "a.jsonl", f"{json.dumps({'url': one})}\n{json.dumps({'url': 'http://[bad?hunter2'})}".encode()
    )
    assert "hunter2" not in repr(found)
    assert [link.source.partition("#")[0] for link in found.links] == [redact_url(one), "an unreadable URL"]


def test_an_episode_of_a_feed_keeps_its_id_when_it_moves() -> None:
    about = {"podcast_guid": "917393e3-1b1e-5cef-ace4-edaa54e1f810", "guid": "episode-1"}
    found = parse_link_list(
        "a.jsonl",
        "\n".join(json.dumps(about | {"url": f"https://{host}/e.mp3"}) for host in ("a.example", "b.example")).encode(),
    )
    assert {link.identity for link in found.links} == {feed_episode_id(about["podcast_guid"], about["guid"])}
