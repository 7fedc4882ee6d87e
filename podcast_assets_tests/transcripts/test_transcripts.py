"""Transcripts for people are total: whatever the segments are like, there is a valid file."""

import json
from typing import Any

import pytest

from podcast_assets.transcripts import format_clock, to_json, to_markdown

EPISODE = {
    "episode_id": "ep-1",
    "source": "ep.mp3",
    "title": "The first",
    "podcast": "Show",
    "license": None,
    "duration": 3725.4,
}


def segment(start: float, speaker: str, text: str, **more: Any) -> dict[str, Any]:
    keys = (
        "segment_id language language_probability avg_logprob no_speech_prob compression_ratio engine degraded".split()
    )
    return (
        dict.fromkeys(keys) | {"start": start, "end": start + 1, "speaker": speaker, "text": text, "words": []} | more
    )


def test_one_paragraph_for_as_long_as_somebody_speaks() -> None:
    text = to_markdown(
        EPISODE,
        [
            segment(0.5, "A", "Hello.", language="en"),
            segment(2, "A", "Again."),
            segment(61, "B", "Yes?"),
            segment(3700, "A", ""),
        ],
        note="made by hand",
    )
    assert text.splitlines() == [
        "# The first",
        "",
        "Show · 1:02:05 · 2 speakers · en",
        "",
        "> made by hand",
        "",
        "**A** [0:00] Hello. Again.",
        "",
        "**B** [1:01] Yes?",
        "",
        "**A** [1:01:40] *(nothing recognized)*",
    ]


def test_no_speech_and_no_title() -> None:
    text = to_markdown(EPISODE | {"title": None, "podcast": None}, [])
    assert text.startswith("# ep.mp3\n")
    assert "No speech was found" in text
    assert json.loads(to_json(EPISODE, []))["segments"] == []


def test_words_without_times_stay_words_without_times() -> None:
    words = [{"word": "um", "start": None, "end": None, "probability": None}]
    found = json.loads(to_json(EPISODE, [segment(0, "A", "um", words=words)]))
    assert found["segments"][0]["words"] == words
    assert found["speakers"] == ["A"]


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.9, "0:59"), (60, "1:00"), (3600, "1:00:00")])
def test_clock(seconds: float, text: str) -> None:
    assert format_clock(seconds) == text
