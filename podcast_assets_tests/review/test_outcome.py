"""What decisions make of segments, in tables and in the files that people read."""

import datetime
import json
import uuid
from typing import Any

import polars as pl

from podcast_assets.review.decisions import Effective
from podcast_assets.review.outcome import SpeakerName, reviewed_segments
from podcast_assets.review.refs import ItemRef
from podcast_assets.review.reviewed_transcripts import apply_reviews, render_reviewed

MORNING = datetime.datetime(2026, 12, 1, 8, tzinfo=datetime.UTC)
SEGMENTS = pl.DataFrame(
    {
        "episode_id": ["e"] * 4, "segment_id": ["s0", "s1", "s2", "s3"], "segment_index": range(4),
        "speaker": ["A", "B", "A", "B"], "start": [0.0, 3.0, 6.0, 9.0], "end": [3.0, 6.0, 9.0, 12.0],
        "text": ["Good mourning.", "Hello you too", "so he said", "that it was."], "language": ["en"] * 4,
        "words": [
            [{"word": w, "start": 3.0 * n + i, "end": 3.0 * n + i + 0.9, "probability": 0.9} for i, w in enumerate(t.split())]
            for n, t in enumerate(["Good mourning.", "Hello you too", "so he said", "that it was."])
        ],
    }
)  # fmt: skip
EPISODE = {"episode_id": "e", "title": "One", "duration": 12.0}


def decided(action: Any, item: str, value: Any, *, standing: Any = "single", hour: int = 0, **more: Any) -> Effective:
    kind = "window" if "/" in item else "segment"
    return Effective(
        ItemRef(kind, "b", "e", item), action, more.get("policy"), more.get("label"), value, standing, (uuid.uuid4(),),
        tuple(more.get("reviewers", ("ada",))), MORNING + datetime.timedelta(hours=hour),
    )  # fmt: skip


def rows(*decisions: Effective, names: Any = ()) -> dict[str, dict[str, Any]]:
    windows = {("e", "harmful", 0): ["s0", "s1"], ("e", "harmful", 1): ["s1", "s2"]}
    found = reviewed_segments(decisions, SEGMENTS, windows, names)
    return {row["segment_id"]: row for row in found.iter_rows(named=True)}


def test_a_corrected_text_holds_with_its_words_and_the_weakest_standing() -> None:
    words = [
        {"word": "Good", "start": 0.0, "end": 0.9, "probability": 0.9},
        {"word": "morning.", "start": 1.0, "end": 1.9},
    ]
    found = rows(
        decided("text", "s0", {"text": "Good morning.", "words": words}, standing="agreed", reviewers=("ada", "ben")),
        decided("label", "e/harmful/0", False, policy="harmful", label="hate_speech", standing="single", hour=2),
        decided("text", "gone", {"text": "of a segment that is not there any more"}),
    )
    assert found.keys() == {"s0", "s1"}
    first = found["s0"]
    assert (first["text_reviewed"], first["review_standing"], first["reviewers"]) == ("Good morning.", "single", 2)
    assert [w["start"] for w in first["words_reviewed"]] == [0.0, 1.0]
    assert (first["review_labels"], found["s1"]["text_reviewed"]) == ([], None)
    assert first["decided_at"] == MORNING + datetime.timedelta(hours=2)


def test_a_segment_has_a_label_if_any_of_its_windows_has_it() -> None:
    def judged(window: int, holds: bool) -> Effective:
        return decided("label", f"e/harmful/{window}", holds, policy="harmful", label="violence")

    found = rows(judged(0, True), judged(1, False))
    assert {s: row["review_labels"] for s, row in found.items()} == {
        "s0": ["harmful/violence"], "s1": ["harmful/violence"], "s2": [],
    }  # fmt: skip


def test_names_follow_segments_that_were_reassigned_and_the_newest_name_counts() -> None:
    found = rows(
        decided("reassign", "s1", "A"),
        decided("rename_speaker", "s0", {"scope": "episode", "speaker": "A", "name": "Adah"}),
        decided("rename_speaker", "s2", {"scope": "episode", "speaker": "A", "name": "Ada"}, hour=1),
        names=[SpeakerName("e", "A", "of the podcast", MORNING), SpeakerName("e", "B", "Ben", MORNING)],
    )
    assert {s: row["speaker_name"] for s, row in found.items()} == {"s0": "Ada", "s1": "Ada", "s2": "Ada", "s3": "Ben"}
    assert not any(row["reviewed"] for row in found.values()), "a name is no judgment of the text"


def test_files_for_people_have_corrections_names_splits_and_joins_and_say_so() -> None:
    table = reviewed_segments(
        [
            decided("text", "s0", {"text": "Good morning.", "words": []}),
            decided("split", "s1", {"word": 1, "at": 4.0, "speakers": ["B", "A"]}),
            decided("join", "s2", {"with": "s3"}),
            decided("rename_speaker", "s0", {"scope": "episode", "speaker": "A", "name": "Ada"}),
        ],
        SEGMENTS,
        {},
    )
    assert [(r["speaker"], r["text"], r["reviewed"]) for r in apply_reviews(SEGMENTS, table)] == [
        ("Ada", "Good morning.", True), ("B", "Hello", False), ("Ada", "you too", False), ("Ada", "so he said that it was.", False),
    ]  # fmt: skip
    made = render_reviewed(EPISODE, SEGMENTS, table)
    assert "> Reviewed by people: 1 of 4 segments were checked." in made["md"]
    assert "**Ada** [0:00] Good morning." in made["md"]
    assert made["vtt"].startswith("WEBVTT\n\nNOTE Reviewed by people: 1 of 4")
    assert [s["reviewed"] for s in json.loads(made["json"])["segments"]] == [True, False, False, False]
    assert "mourning" not in "".join(made.values())
