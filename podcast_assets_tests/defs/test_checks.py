"""Each check passes what is right and names what is wrong."""

from typing import Any

import polars as pl
import pytest

from podcast_assets.defs.checks import tables as checks
from podcast_assets.store.schema import (
    QUALITY_SCORES,
    RAW_AUDIO,
    SEGMENTS,
    TRANSCRIPTS,
    Columns,
    empty_table,
    make_table,
)


def rows(columns: Columns, *given: dict[str, Any]) -> pl.DataFrame:
    blank: dict[str, Any] = dict.fromkeys(columns)
    return make_table([blank | row for row in given], columns)


def segment(n: int, start: float, end: float) -> dict[str, Any]:
    return {"segment_id": f"e-{n}", "episode_id": "e", "start": start, "end": end, "speaker": "A"}


AUDIO = rows(RAW_AUDIO, {"episode_id": "e", "source": "e.mp3", "status": "done", "duration": 10.0})
GOOD = rows(SEGMENTS, segment(0, 0.0, 2.0), segment(1, 2.0, 5.0), segment(2, 4.5, 10.0))


def test_accounted() -> None:
    assert checks.all_accounted(["a", "b"], ["a"], ["b"]).passed
    lost = checks.all_accounted(["a", "b", "c"], ["a"], ["b"])
    assert (lost.passed, lost.facts["lost"]) == (False, ["c"])
    assert checks.all_accounted(["a", "b"], ["b", "a"], ["a"]).facts["twice"] == ["a"]
    assert checks.all_accounted(["a"], ["a", "x"], []).facts["unknown"] == ["x"]


def test_every_file_has_one_row_with_a_reason_unless_done() -> None:
    skipped = {"episode_id": "n", "source": "n.txt", "status": "skipped", "error": "not audio"}
    whole = rows(RAW_AUDIO, AUDIO.row(0, named=True), skipped)
    assert checks.files_accounted(whole, 2).passed
    assert not checks.files_accounted(whole, 3).passed
    assert not checks.files_accounted(rows(RAW_AUDIO, AUDIO.row(0, named=True), skipped | {"error": None}), 2).passed
    assert not checks.files_accounted(rows(RAW_AUDIO, skipped, skipped), 2).passed


def test_durations() -> None:
    declared = AUDIO.with_columns(declared_duration=pl.lit(10.5))
    assert checks.durations_agree(declared).passed
    apart = checks.durations_agree(AUDIO.with_columns(declared_duration=pl.lit(12.0)))
    assert (apart.passed, apart.facts["apart"]) == (False, ["e.mp3"])
    assert checks.durations_agree(AUDIO).facts["compared"] == 0


def test_segments_in_order() -> None:
    assert checks.segments_in_order(GOOD, AUDIO).passed
    assert checks.segments_in_order(empty_table(SEGMENTS), AUDIO).passed
    for wrong in (segment(3, 1.0, 2.0), segment(3, 9.0, 9.0), segment(3, 9.0, 10.5), segment(2, 9.0, 9.5)):
        verdict = checks.segments_in_order(pl.concat([GOOD, rows(SEGMENTS, wrong)]), AUDIO)
        assert not verdict.passed
        assert wrong["segment_id"] in verdict.facts["wrong"]


def test_words_in_order() -> None:
    def said(*words: tuple[float | None, float | None]) -> pl.DataFrame:
        spoken = [{"word": "w", "start": s, "end": e, "probability": None} for s, e in words]
        return rows(TRANSCRIPTS, {"segment_id": "e-1", "episode_id": "e", "words": spoken})

    assert checks.words_in_order(said((2.0, 3.0), (None, None), (3.0, 5.0)), GOOD).passed
    assert checks.words_in_order(said(), GOOD).passed
    for wrong in (said((1.5, 2.5)), said((4.0, 5.5)), said((4.0, 4.5), (3.0, 3.5)), said((3.0, 2.5))):
        assert checks.words_in_order(wrong, GOOD).facts["wrong"] == ["e-1"]


def test_degraded_rows_are_told() -> None:
    made = GOOD.with_columns(degraded=pl.Series([True, False, False]))
    assert not checks.not_degraded(made).passed
    assert checks.not_degraded(made.with_columns(degraded=pl.lit(False))).passed
    assert checks.not_degraded(empty_table(SEGMENTS)).passed


def test_scores_in_range() -> None:
    one = GOOD.head(1)
    score = {"segment_id": "e-0", "episode_id": "e", "dnsmos_ovrl": 3.0, "clipping_share": 0.0}
    assert checks.scores_in_range(rows(QUALITY_SCORES, score), one).passed
    assert not checks.scores_in_range(rows(QUALITY_SCORES, score | {"dnsmos_ovrl": 9.0}), one).passed
    assert not checks.scores_in_range(rows(QUALITY_SCORES, score | {"clipping_share": 1.5}), one).passed
    assert not checks.scores_in_range(rows(QUALITY_SCORES, score | {"music_share": -0.1}), one).passed
    assert not checks.scores_in_range(rows(QUALITY_SCORES, score | {"snr_db": float("nan")}), one).passed


def test_a_segment_without_a_row_of_scores_is_named() -> None:
    scores = rows(QUALITY_SCORES, {"segment_id": "e-1", "episode_id": "e"})
    verdict = checks.scores_in_range(scores, GOOD)
    assert (verdict.passed, verdict.facts["unscored"]) == (False, 2)
    assert verdict.facts["without_row"] == ["e-0", "e-2"]
    assert not checks.scores_in_range(empty_table(QUALITY_SCORES), GOOD).passed
    assert checks.scores_in_range(empty_table(QUALITY_SCORES), empty_table(SEGMENTS)).passed


def test_order_is_that_of_the_rows_whatever_order_a_join_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Polars promises no order of a left join unless it is asked for."""
    join = pl.DataFrame.join

    def unordered(left: pl.DataFrame, *others: Any, **how: Any) -> pl.DataFrame:
        joined = join(left, *others, **how)
        return joined if how.get("maintain_order") == "left" else joined.reverse()

    monkeypatch.setattr(pl.DataFrame, "join", unordered)
    assert checks.segments_in_order(GOOD, AUDIO).passed
    spoken = [{"word": "w", "start": s, "end": s + 0.5, "probability": None} for s in (2.0, 3.0)]
    words = rows(TRANSCRIPTS, {"segment_id": "e-1", "episode_id": "e", "words": spoken})
    assert checks.words_in_order(words, GOOD).passed


def test_metadata_coverage() -> None:
    assert checks.metadata_coverage([], [], []).passed
    assert checks.metadata_coverage(["a"], [], []).facts["files_without_metadata"] == ["a"]
