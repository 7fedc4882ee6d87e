"""Reviews in a release: what people decided is beside what machines made, and neither shards nor tables of the store change."""

import hashlib
from pathlib import Path

import polars as pl
import pytest

from podcast_assets.common.errors import Misconfigured
from podcast_assets.quality.policies.policy import load_policy
from podcast_assets.release.options import ReleaseOptions
from podcast_assets.release.release import ReleaseResult, release
from podcast_assets.release.targets.folder import FolderTarget
from podcast_assets.store.review_tables import reviewed_key, write_report
from podcast_assets.store.schema import make_table
from podcast_assets.store.schema_beside import REVIEWED_SEGMENTS
from podcast_assets.store.store import Store
from podcast_assets_tests.release.sealed_store import seal

POLICY = """
name = "reviewed"
version = 1
[[rules]]
column = "duration"
minimum = 0.5
reason = "short"
[[rules]]
column = "review_labels"
none_of = ["harmful/hate_speech"]
reason = "hate speech, people say"
nulls_pass = true
"""


@pytest.fixture
def place(tmp_path: Path) -> tuple[Store, Path]:
    store = Store.at(tmp_path / "store")
    seal(store, "one", ("a", "b"))
    return store, tmp_path / "dataset"


def publish(place: tuple[Store, Path], policy: str | None = None, publish: str = "all") -> ReleaseResult:
    store, folder = place
    options = ReleaseOptions(publish, "cc-by", shard_bytes=80_000, codec="flac", policy=policy)  # type: ignore[arg-type]
    return release(store, FolderTarget(folder), options)


def review(store: Store, **decisions: dict[str, object]) -> None:
    """Write what was decided of segments of episode `a`, by their number: s0, s1, …"""
    rows = [
        dict.fromkeys(REVIEWED_SEGMENTS)
        | {"episode_id": "one-a", "segment_id": f"one-a-{int(n[1:]):09d}-{int(n[1:]) + 1:09d}", "reviewed": True}
        | {"review_standing": "agreed"}
        | values
        for n, values in decisions.items()
    ]
    store.write_table(reviewed_key("one"), make_table(rows, REVIEWED_SEGMENTS))


def metadata(folder: Path) -> pl.DataFrame:
    return pl.concat(pl.read_parquet(p) for p in sorted(folder.glob("metadata/*/*.parquet"))).sort("segment_id")


def hashes(folder: Path, pattern: str) -> dict[str, str]:
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob(pattern))}


def test_reviewed_texts_and_names_are_beside_the_machines_and_no_shard_changes(place: tuple[Store, Path]) -> None:
    store, folder = place
    publish(place)
    assert metadata(folder)["reviewed"].to_list() == [False] * 6
    assert "Reviewed by people" not in (folder / "README.md").read_text()
    shards, stored = hashes(folder, "*.tar"), hashes(Path(str(store.path("tables"))), "*.parquet")
    review(store, s0={"text_reviewed": "hello there", "speaker_name": "Ada"}, s2={"text_reviewed": "hello"})
    write_report(
        store,
        {
            "word_error_rate": {"rate": 0.062, "low": 0.05, "high": 0.077, "segments": 700},
            "seconds_reviewed": 7200.0, "segments_in_population": 100_000, "segments_reviewed_twice": 690,
            "kappas": [{"label": "harmful/hate_speech", "kappa": 0.81, "low": 0.7, "high": 0.9, "items": 120}],
        },
    )  # fmt: skip
    result = publish(place)
    assert (result.changed, result.new, result.anew) == (True, [], [])
    assert (hashes(folder, "*.tar"), hashes(Path(str(store.path("tables"))), "*.parquet")) == (shards, stored)
    rows = metadata(folder)
    assert rows["text"].to_list() == ["hello"] * 6
    assert rows["text_reviewed"].to_list() == ["hello there", None, "hello", None, None, None]
    assert rows["speaker_name"].to_list()[:2] == ["Ada", None]
    card = (folder / "README.md").read_text()
    assert "corrected the text of 1 segment:" in card
    assert "**6.2 %** (95 % interval 5.0 to 7.7 %)" in card
    assert "harmful/hate_speech: 0.81 (0.70 to 0.90)" in card
    assert not publish(place).changed


def test_rules_on_reviews_apply_at_the_release(place: tuple[Store, Path], tmp_path: Path) -> None:
    store, folder = place
    file = tmp_path / "reviewed.toml"
    file.write_text(POLICY)
    review(store, s0={"review_labels": ["harmful/hate_speech"]}, s2={"review_labels": []})
    publish(place, str(file))
    rows = metadata(folder)
    assert rows["keep"].to_list() == [False, False, True, True, False, True], "the second of each is too short already"
    assert rows["reject_reasons"].to_list()[:3] == [["hate speech, people say"], ["too short"], []]
    publish(place, str(file), "kept")
    assert metadata(folder).height == 3
    publish(place, None)
    assert metadata(folder)["keep"].sum() == 4


def test_rules_on_reviews_wait_for_the_release_and_are_checked_when_loaded(tmp_path: Path) -> None:
    file = tmp_path / "reviewed.toml"
    file.write_text(POLICY)
    policy = load_policy(file)
    assert [rule.reason for rule in policy.active_rules(["duration"])] == ["short"]
    assert policy.notes(["duration"]) == [
        "rule 'hate speech, people say' applies to releases, because it is about what people reviewed"
    ]
    file.write_text(POLICY.replace("review_labels", "reviewed_labels"))
    with pytest.raises(Misconfigured, match="did you mean review"):
        load_policy(file)
