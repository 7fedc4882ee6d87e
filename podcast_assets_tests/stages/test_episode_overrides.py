"""Metadata of an episode override the settings; unusable values are ignored."""

import json

import pytest

from podcast_assets.config.settings import Settings
from podcast_assets.stages.episode_overrides import diarizer, hints, speaker_bounds


@pytest.mark.parametrize(
    ("metadata", "settings", "expected"),
    [
        ({}, {}, (None, None)),
        ({}, {"min_speakers": 1, "max_speakers": 4}, (1, 4)),
        ({"num_speakers": 3}, {"min_speakers": 1, "max_speakers": 2}, (3, 3)),
        ({"num_speakers": "2"}, {}, (2, 2)),
        ({"max_speakers": 2.0}, {"min_speakers": 3}, (2, 2)),
        ({"min_speakers": 5}, {"max_speakers": 3}, (5, 5)),
        ({"num_speakers": "many", "max_speakers": 0}, {"max_speakers": 4}, (None, 4)),
        ({"num_speakers": None}, {}, (None, None)),
        ({"num_speakers": "1e400", "max_speakers": "nan"}, {}, (None, None)),
    ],
)
def test_numbers_of_speakers(
    metadata: dict[str, object], settings: dict[str, int], expected: tuple[int | None, int | None]
) -> None:
    found = speaker_bounds(json.dumps(metadata), Settings.model_validate(settings))
    assert (found["min_speakers"], found["max_speakers"]) == expected
    assert speaker_bounds(None, Settings()) == {"min_speakers": None, "max_speakers": None}


def test_the_diarizer_is_one_that_exists(caplog: pytest.LogCaptureFixture) -> None:
    known = {"embedded", "none"}
    assert diarizer('{"diarizer": " None "}', known) == "none"
    assert [diarizer(text, known) for text in (None, "{}", '{"diarizer": "auto"}')] == [None] * 3
    assert not caplog.text
    assert diarizer('{"meta_id": "a", "diarizer": "nobody"}', known) is None
    assert "metadata of a: ignoring diarizer='nobody', which is none of embedded, none" in caplog.text


def test_hints_are_the_columns_that_are_asked_for() -> None:
    row = json.dumps({"title": "Rainer Maria Rilke", "podcast": " Poets ", "guest": None, "other": "x"})
    assert hints(row, Settings(hints="title, podcast, guest, nowhere")) == "Rainer Maria Rilke, Poets"
    assert hints(row, Settings()) is None
    assert hints(None, Settings(hints="title")) is None
