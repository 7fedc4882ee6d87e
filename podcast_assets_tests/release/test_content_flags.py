"""Content flags in a release: what rules leave out, what readers are told, and flags of older texts."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from podcast_assets.common.errors import BadInput
from podcast_assets.release.options import ReleaseOptions
from podcast_assets.release.readers.published_dataset import open_dataset
from podcast_assets.release.readers.verify import verify_dataset
from podcast_assets.release.release import ReleaseResult, release
from podcast_assets.release.targets.folder import FolderTarget
from podcast_assets.store.commits import commit
from podcast_assets.store.schema import FAILURES, PROVENANCE, empty_table
from podcast_assets.store.store import Store
from podcast_assets_tests.moderation.flagged import flag_rows
from podcast_assets_tests.release.published import publish_to
from podcast_assets_tests.release.sealed_store import change, seal
from podcast_assets_tests.release.test_folder_release import samples

OPTIONS = ReleaseOptions("all", "*", shard_bytes=80_000, codec="flac")
ONE, TWO, THREE = (f"b-one-{i:09d}-{i + 1:09d}" for i in range(3))
OTHERS = [f"b-two-{i:09d}-{i + 1:09d}" for i in range(3)]


@pytest.fixture
def sealed(store: Store) -> Store:
    """A batch whose segments all say hello."""
    seal(store, "b")
    return store


def publish(store: Store, folder: Path, **changes: Any) -> ReleaseResult:
    return release(store, FolderTarget(folder), ReleaseOptions(**{**OPTIONS.__dict__, **changes}))


def flag(store: Store, *rows: tuple[str, str, list[str], float | None], batch: str = "b", text: str = "hello") -> None:
    """Commit content flags of segments that said `text`."""
    texts = {segment: text for _, _, segments, _ in rows for segment in segments}
    table = flag_rows(*rows, texts=texts).with_columns(
        episode_id=pl.col("segment_ids").list.first().str.extract(r"^(.*)-\d+-\d+$")
    )
    commit(store, "content_flags", batch, table, empty_table(PROVENANCE), empty_table(FAILURES))


def metadata(folder: Path) -> pl.DataFrame:
    return pl.concat(pl.read_parquet(p) for p in sorted(folder.glob("metadata/*/*.parquet")))


def test_without_content_flags_nothing_changes_and_with_them_readers_see_them(sealed: Store, folder: Path) -> None:
    publish(sealed, folder)
    assert "content_flags" not in metadata(folder).columns
    assert "## Content flags" not in (folder / "README.md").read_text()
    assert not publish(sealed, folder).changed
    flag(sealed, ("p", "hate", [ONE, TWO], 0.9), ("p", "hate", [TWO, THREE], None), ("p", "spam", [ONE], 0.1))
    done = publish(sealed, folder)
    assert done.changed
    assert not done.new
    assert not done.anew
    told = dict(metadata(folder).select("segment_id", "content_flags").iter_rows())
    assert told[ONE] == [
        {"policy": "p", "label": "hate", "probability": 0.9, "verdict": "flagged"},
        {"policy": "p", "label": "spam", "probability": 0.1, "verdict": "clean"},
    ]
    assert told[TWO] == [{"policy": "p", "label": "hate", "probability": 0.9, "verdict": "flagged"}]
    assert told[THREE] == [{"policy": "p", "label": "hate", "probability": None, "verdict": "needs_review"}]
    assert told[OTHERS[0]] is None
    card = (folder / "README.md").read_text()
    assert "| `p` | `hate` | flagged | 2 | 0.00 |" in card
    assert "| `content_flags` | " in card


def test_rules_leave_out_what_they_select_and_the_card_says_so(sealed: Store, folder: Path) -> None:
    publish(sealed, folder)
    flag(sealed, ("p", "hate", [ONE], 0.9), ("p", "hate", [TWO, THREE], 0.4), ("p", "hate", OTHERS, 0.0))
    done = publish(sealed, folder, exclude="hate > 0.5")
    assert sorted(samples(folder)) == sorted([TWO, THREE, *OTHERS])
    assert done.not_released.to_dicts() == [
        {"reason": "content flag: hate > 0.5", "episodes": 1, "hours": pytest.approx(1 / 3600)}
    ]
    card = (folder / "README.md").read_text()
    assert "Segments that fulfil any of these rules are not released: `hate > 0.5`." in card
    # whoever changes their mind releases it again
    publish(sealed, folder)
    assert len(samples(folder)) == 6


def test_what_was_not_judged_is_left_out_too_and_counted(sealed: Store, folder: Path) -> None:
    flag(sealed, ("p", "hate", [ONE, TWO, THREE], 0.1))
    done = publish(sealed, folder, exclude="hate > 0.5")
    assert sorted(samples(folder)) == [ONE, TWO, THREE]
    assert done.not_released["reason"].to_list() == ["content flag: not judged"]


@pytest.mark.parametrize("exclude", ["hate > 0.5", "needs_review"])
def test_rules_need_flags_of_every_batch(sealed: Store, folder: Path, exclude: str) -> None:
    seal(sealed, "c")
    flag(sealed, ("p", "hate", [ONE, TWO, THREE, *OTHERS], 0.1))
    with pytest.raises(BadInput, match=r"batch c has no content flags.*materialize content_flags"):
        publish(sealed, folder, exclude=exclude)
    assert not folder.exists() or not list(folder.rglob("*.tar"))


def test_a_rule_about_an_unknown_label_stops_the_release(sealed: Store, folder: Path) -> None:
    flag(sealed, ("p", "hate", [ONE, TWO, THREE, *OTHERS], 0.1))
    with pytest.raises(BadInput, match=r"names 'hat > 0.5', but its content flags are of p\.hate"):
        publish(sealed, folder, exclude="hat > 0.5")


def test_flags_of_older_texts_stop_rules_and_are_not_shown(
    sealed: Store, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    flag(sealed, ("p", "hate", [ONE, TWO, THREE, *OTHERS], 0.9))
    change(sealed, "hf_shards", "b", pl.col("segment_id") == TWO, text="transcribed again")
    with pytest.raises(
        BadInput, match=f"flags of 1 segment are of older texts .* the first is {TWO}.*materialize content_flags"
    ):
        publish(sealed, folder, exclude="hate > 0.95")
    publish(sealed, folder)
    told = dict(metadata(folder).select("segment_id", "content_flags").iter_rows())
    assert told[TWO] is None
    assert told[ONE][0]["probability"] == 0.9
    assert "of older texts than the shards" in caplog.text


def test_a_whole_episode_is_left_out_with_any_of_its_segments(tmp_path: Path, folder: Path) -> None:
    root = tmp_path / "whole"
    publish_to(FolderTarget(folder), root, episodes=True)
    store = Store.at(root)
    tables = {b: pl.read_parquet(root / f"tables/hf_shards/{b}.parquet") for b in ("b1", "b2")}
    chosen = tables["b1"].filter(pl.col("text") == "hello")["segment_id"][0]
    for batch, table in tables.items():
        rows = [("p", "hate", [s], 0.9 if s == chosen else 0.1) for s in table["segment_id"]]
        said = dict(table.select("segment_id", "text").iter_rows())
        flags = flag_rows(*rows, texts=said).with_columns(
            episode_id=pl.col("segment_ids")
            .list.first()
            .replace_strict(dict(table.select("segment_id", "episode_id").iter_rows()))
        )
        commit(store, "content_flags", batch, flags, empty_table(PROVENANCE), empty_table(FAILURES))
    publish(store, folder, exclude="hate", shard_bytes=30_000)
    episode = tables["b1"].filter(segment_id=chosen)["episode_id"][0]
    whole = pl.concat(pl.read_parquet(p) for p in sorted(folder.glob("episodes/*.parquet")))
    assert whole.filter(episode_id=episode)["shard"].to_list() == [None]
    assert whole.filter(pl.col("episode_id") != episode)["shard"].null_count() == 0
    assert chosen not in samples(folder)
    assert metadata(folder).filter(episode_id=episode).height == tables["b1"].filter(episode_id=episode).height - 1
    assert verify_dataset(open_dataset(str(folder))).troubles == []
