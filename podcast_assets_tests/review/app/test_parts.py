"""Ranges, differences of texts, and numbers as people read them."""

import pytest

from podcast_assets.review.app.diff import diff_words
from podcast_assets.review.app.ranges import RangeNotSatisfiable, parse_range
from podcast_assets.review.app.rendering import format_time, markdown


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-", (0, 100)),
        ("bytes=0-0", (0, 1)),
        ("bytes=10-19", (10, 20)),
        ("bytes=90-1000", (90, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=-1000", (0, 100)),
        ("Bytes = 5 - 6", (5, 7)),
        (None, None),
        ("bytes=-", None),
        ("bytes=9-5", None),
        ("bytes=0-1,5-6", None),
        ("items=0-1", None),
        ("bytes=٣-٤", None),
        (f"bytes=0-{'9' * 40}", None),
    ],
)
def test_ranges_are_read_as_http_says(header: str | None, part: tuple[int, int] | None) -> None:
    assert parse_range(header, 100) == part


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=999999999999-", "bytes=-0"])
def test_ranges_beyond_the_file_are_refused(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable):
        parse_range(header, 100)


def test_difference_of_two_texts() -> None:
    parts = diff_words("Well, we went home yesterday.", "well we went hole yesterday again")
    assert parts is not None
    assert [(p.kind, p.text) for p in parts] == [
        ("same", "Well, we went"),
        ("first", "home"),
        ("second", "hole"),
        ("same", "yesterday."),
        ("second", "again"),
    ]
    assert diff_words("one text", None) is None


def test_times_are_those_of_a_clock() -> None:
    assert [format_time(s) for s in (0, 59.96, 61.23, 3661.5)] == ["0:00.0", "1:00.0", "1:01.2", "1:01:01.5"]


def test_policies_are_shown_without_html_links_and_images() -> None:
    shown = markdown(
        "### (HS): *Hate*\n<script>alert(1)</script>\n[here](javascript:alert(1)) ![x](https://evil.example/x.png)"
    )
    assert "<h3>(HS): <em>Hate</em></h3>" in shown
    assert not any(tag in shown for tag in ("<script", "<a ", "<img"))
