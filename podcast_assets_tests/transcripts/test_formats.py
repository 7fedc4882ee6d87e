"""Transcripts in every format, read back by the libraries that people read them with."""

import io
import json
import math
import re
from html import unescape
from itertools import pairwise
from typing import Any

import pysubs2
import pytest
import webvtt
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from podcast_assets.speech.rttm import parse_rttm
from podcast_assets.transcripts import FORMATS, render, to_srt, to_text, to_vtt
from podcast_assets.transcripts.cues import COLUMNS, LINES, SECONDS, display_width, make_cues
from podcast_assets.transcripts.spoken import normalize_segments, one_line

pytestmark = pytest.mark.readers

EPISODE = {"episode_id": "ep-1", "source": "ep.mp3", "title": "A <b>title</b> | #", "podcast": None, "duration": 60.0}
JOINER = "\u2060"

times = st.none() | st.floats(allow_nan=True, allow_infinity=True) | st.floats(0, 90_000)
TOKENS = r"--> <i> </b> {\an8} 42 &amp; \N WEBVTT ** _a_ __0__ [x](http://y) `c` # - > 1. שלום ÄÖ $a$ ~~s~~ 00:00:01.000 ![i](x)"
LINES_OF = [
    "00:00:01,000 --> 00:00:02,000",
    "\n\n",
    "NOTE x",
    "| a |",
    "# h",
    "你好。" * 30,
    "x" * 200,
    "\u2028",
    "\x00",
]
awkward = st.sampled_from([*TOKENS.split(), *LINES_OF])
texts = st.lists(awkward | st.text(st.characters(exclude_categories=["Cs"])), max_size=12).map(" ".join)
words = st.none() | st.lists(
    st.fixed_dictionaries({"word": st.none() | texts, "start": times, "end": times, "probability": times}), max_size=4
)
segments = st.lists(
    st.fixed_dictionaries(
        {"start": times, "end": times, "speaker": st.none() | texts, "text": st.none() | texts, "words": words},
        optional={"language": st.none() | texts, "avg_logprob": times},
    ),
    max_size=5,
)


def said(rows: list[dict[str, Any]]) -> list[str]:
    """Texts without any space, in order of time."""
    return ["".join(s.text.split()) for s in normalize_segments(rows)]


def letters(value: str) -> str:
    return "".join(value.replace(JOINER, "").split())


def segment(start: float | None, end: float | None, speaker: str | None, text: str, *words: Any) -> dict[str, Any]:
    keys = ("word", "start", "end", "probability")
    return {
        "start": start,
        "end": end,
        "speaker": speaker,
        "text": text,
        "words": [dict(zip(keys, w, strict=True)) for w in words],
    }


@given(segments)
@settings(max_examples=150, deadline=None)
def test_every_input_gives_every_format(rows: list[dict[str, Any]]) -> None:
    files = render(EPISODE, rows, note="made by hand")
    assert list(files) == list(FORMATS)
    for content in files.values():
        content.encode()
    assert len(json.loads(files["json"])["segments"]) == len(rows)
    turns = parse_rttm(files["rttm"]).get("ep-1", [])
    assert len(turns) == sum(bool(s.speaker) and s.end > s.start for s in normalize_segments(rows))


@given(segments)
@settings(max_examples=150, deadline=None)
def test_srt_holds_the_texts(rows: list[dict[str, Any]]) -> None:
    found = pysubs2.SSAFile.from_string(to_srt(rows), format_="srt") if any(said(rows)) else []
    expected = make_cues(normalize_segments(rows), name_speakers=True)
    assert [letters(e.text.replace("\\N", "")) for e in found] == [letters("".join(c.lines)) for c in expected]
    assert all(b.start >= a.start for a, b in pairwise(found))


@given(segments)
@settings(max_examples=150, deadline=None)
def test_vtt_holds_the_texts_and_speakers(rows: list[dict[str, Any]]) -> None:
    found = webvtt.from_buffer(io.StringIO(to_vtt(rows)))
    expected = make_cues(normalize_segments(rows))
    assert [letters(unescape(re.sub(r"<v [^>]*>", "", c.raw_text))) for c in found] == [
        letters("".join(c.lines)) for c in expected
    ]
    assert [unescape(c.voice or "") for c in found] == [c.speaker or "" for c in expected]
    assert all(c.end_in_seconds >= c.start_in_seconds for c in found)


@given(segments)
@settings(max_examples=150, deadline=None)
def test_cues_fit_a_screen_and_lose_nothing(rows: list[dict[str, Any]]) -> None:
    whole = normalize_segments(rows)
    found = make_cues(whole)
    assert sorted("".join(sorted("".join("".join(c.lines).split()) for c in found))) == sorted("".join(said(rows)))
    for cue in found:
        assert 0 < len(cue.lines) <= LINES
        assert max(map(display_width, cue.lines)) <= COLUMNS
        assert cue.end > cue.start >= 0


@given(segments)
@settings(max_examples=100, deadline=None)
@pytest.mark.parametrize("suffix", ["md", "timestamps.md", "words.md"])
def test_markdown_shows_texts_as_they_are(suffix: str, rows: list[dict[str, Any]]) -> None:
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(render(EPISODE, rows)[suffix])
    shown = letters("".join(t.content for top in tokens for t in top.children or []))
    for s in normalize_segments(rows):
        if s.words and suffix == "words.md":
            assert all(letters(w.word) in shown for w in s.words)
        else:
            assert letters(s.text) in shown
    kinds = {t.type for top in tokens for t in top.children or []}
    assert kinds <= {"text", "strong_open", "strong_close", "em_open", "em_close", "softbreak", "text_special"}


def test_words_give_the_times_of_cues() -> None:
    text = "one two three four five six. seven"
    timed = [(word, 10 + n * 3, 11 + n * 3, 0.9) for n, word in enumerate(text.split())]
    long = segment(10, 30, "A", text, *timed)
    found = make_cues(normalize_segments([long]))
    assert [c.lines for c in found] == [("one two three",), ("four five six.",), ("seven",)]
    assert [(c.start, c.end) for c in found] == [(10_000, 17_000), (19_000, 26_000), (28_000, 30_000)]


def test_without_word_times_letters_share_the_time() -> None:
    found = make_cues(normalize_segments([segment(0, 10, "A", "aaaa " * 40)]))
    assert [c.lines[0][:4] for c in found] == ["aaaa"] * len(found)
    assert all(c.end - c.start <= SECONDS * 1000 for c in found)
    assert found[-1].end == pytest.approx(10_000, abs=60)
    assert all(a.end <= b.start for a, b in pairwise(found))


def test_subtitles_of_two_speakers() -> None:
    rows = [segment(0, 1.5, "A", "Hello <you> & me"), segment(1.25, 2, "B", "Yes --> no"), segment(3, 4, None, "")]
    assert to_vtt(rows) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\n<v A>Hello &lt;you&gt; &amp; me\n\n"
        "00:00:01.250 --> 00:00:02.000\n<v B>Yes --&gt; no\n\n"
    )
    assert to_srt(rows).replace(JOINER, "") == (
        "1\n00:00:00,000 --> 00:00:01,500\nA: Hello <you> & me\n\n2\n00:00:01,250 --> 00:00:02,000\nB: Yes --> no\n\n"
    )
    assert to_text(rows) == "A: Hello <you> & me\nB: Yes --> no\n"


def test_chinese_breaks_where_the_line_is_full() -> None:
    first, *_ = make_cues(
        normalize_segments([segment(0, 6, "A", "今天天气很好我们去公园走走吧然后回家吃饭看电视睡觉明天再说")])
    )
    assert len(first.lines[0]) == 21


def test_nothing_was_said() -> None:
    assert (to_srt([]), to_vtt([]), to_text([])) == ("", "WEBVTT\n\n", "")


def test_times_that_are_none() -> None:
    rows = [segment(5, 6, "A", "first"), segment(None, None, "B", "second"), segment(math.nan, -1, "B", "third")]
    assert [(s.start, s.end) for s in normalize_segments(rows)] == [(5, 6), (6, 6), (6, 6)]


def test_words_table() -> None:
    rows = [segment(0, 1, "A", "a|b", ("a|b", 0.1, None, 0.5))]
    assert "| 0.10 |  | a\\|b | 0.50 |" in render(EPISODE, rows)["words.md"]


def test_one_line() -> None:
    assert one_line(" a\n\nb\x00\u2028c ") == "a b c"
