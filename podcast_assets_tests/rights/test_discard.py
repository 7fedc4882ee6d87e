"""What people discard is left out of stages, shards and releases, is listed, and can be taken back in."""

import datetime
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from podcast_assets.common.errors import BadInput
from podcast_assets.config.settings import Settings
from podcast_assets.intake.arrivals import find_arrival
from podcast_assets.intake.episodes import batch_rows as intake_rows
from podcast_assets.release.release import release
from podcast_assets.release.targets.folder import FolderTarget
from podcast_assets.rights.discard import discard, undo_discard
from podcast_assets.stages.discarded import skip_discarded_files
from podcast_assets.stages.fetch import download_list
from podcast_assets.stages.overview import batch_rows, episode_rows, failure_rows
from podcast_assets.stages.unfinished import with_retryable_failures
from podcast_assets.store.commits import commit
from podcast_assets.store.discard_records import read_discards
from podcast_assets.store.schema import ASSETS, FAILURES, PROVENANCE, RAW_AUDIO, empty_table, make_table
from podcast_assets.store.store import Store, table_key
from podcast_assets_tests.committed import failure
from podcast_assets_tests.conftest import Place
from podcast_assets_tests.release.sealed_store import seal
from podcast_assets_tests.release.test_folder_release import samples
from podcast_assets_tests.release.test_release_rights import OPTIONS

AT = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)
WHY = "discarded on 2026-03-01: only music"


def leave_out(store: Store, *names: str) -> list[list[str]]:
    return [d.copies for d in discard(store, list(names), "only music", "Ada", AT)]


def table(place: Place, asset: str, batch: str = "one") -> pl.DataFrame:
    found = place.store.read_table(table_key(asset, batch), ASSETS[asset])
    assert found is not None
    return found


def test_stages_and_shards_leave_it_out_until_it_is_taken_back_in(clip_copy: Place) -> None:
    place = clip_copy

    def run(*arguments: str) -> Any:
        result = place.command(*arguments)
        assert result.returncode == 0, result.stderr
        return result

    texts, sealed = table(place, "transcripts"), table(place, "hf_shards")
    assert sealed.height
    run("discard", "water-history.flac", "--reason", "only  music", "--by", "Ada")
    (listed,) = json.loads(run("discard", "--list", "--json").stdout)
    assert (listed["source"], listed["reason"], listed["by"]) == ("water-history.flac", "only music", "Ada")
    assert "only music (Ada)" in run("discard", "--list").stdout
    assert "only music" in run("episodes", "--status", "discarded").stdout

    run("backfill", "one", "--here", "--profile", "demo")
    assert table(place, "hf_shards").is_empty()
    assert table(place, "transcripts").equals(texts), "what is done stays"

    run("discard", "--undo", "water-history.flac")
    run("backfill", "one", "--here", "--profile", "demo")
    assert table(place, "hf_shards")["segment_id"].equals(sealed["segment_id"])


def test_the_next_release_is_without_it_and_has_it_again_after_undo(store: Store, folder: Path) -> None:
    seal(store, "b1")
    release(store, FolderTarget(folder), OPTIONS)
    before = samples(folder)
    assert any("b1-one" in key for key in before)
    leave_out(store, "b1/b1-one")
    release(store, FolderTarget(folder), OPTIONS)
    assert not any("b1-one" in key for key in samples(folder))
    assert any("b1-two" in key for key in samples(folder))
    undo_discard(store, ["b1/b1-one"])
    release(store, FolderTarget(folder), OPTIONS)
    assert sorted(samples(folder)) == sorted(before)


def test_its_failures_are_settled(store: Store) -> None:
    rows = [
        dict.fromkeys(RAW_AUDIO)
        | {"episode_id": e, "source": f"{e}.mp3", "status": s, "duration": 3600.0, "sha256": "0"}
        for e, s in (("a", "done"), ("b", "done"), ("c", "failed"))
    ]
    commit(store, "raw_audio", "x", make_table(rows, RAW_AUDIO), empty_table(PROVENANCE), empty_table(FAILURES))
    failed = make_table([failure("transcribe")], FAILURES)
    commit(store, "transcripts", "x", empty_table(ASSETS["transcripts"]), empty_table(PROVENANCE), failed)
    assert with_retryable_failures(store, ["x"]) == ["x"]
    assert leave_out(store, "a", "c.mp3") == [["x/b"], ["x/b"]]
    assert with_retryable_failures(store, ["x"]) == []
    assert failure_rows(store, ["x"]) == []
    assert [(r["status"], r["discarded"]) for r in episode_rows(store, ["x"])] == [
        ("discarded", WHY),
        ("pending", None),
        ("discarded", WHY),
    ]
    (row,) = batch_rows(store)
    assert (row.done, row.failed, row.failures, row.discarded, row.hours) == (1, 0, 0, 2, 1.0)
    undo_discard(store, ["x/a"])
    assert with_retryable_failures(store, ["x"]) == ["x"]


def test_names_that_are_unknown_or_mean_several_discard_nothing(store: Store) -> None:
    for batch in ("x", "y"):
        row = dict.fromkeys(RAW_AUDIO) | {"episode_id": "a", "source": "a.mp3", "status": "done", "sha256": batch * 64}
        commit(store, "raw_audio", batch, make_table([row], RAW_AUDIO), empty_table(PROVENANCE), empty_table(FAILURES))
    with pytest.raises(BadInput, match="a is the name of 2 episodes: name one of x/a, y/a"):
        leave_out(store, "y/a", "a")
    with pytest.raises(BadInput, match="'z' is no episode that the store knows"):
        leave_out(store, "y/a", "z")
    assert read_discards(store).is_empty()
    leave_out(store, "y/a.mp3", "x" * 64)
    assert read_discards(store)["batch"].to_list() == ["x", "y"]
    with pytest.raises(BadInput, match="'z' is no discarded episode"):
        undo_discard(store, ["x/a", "z"])
    assert read_discards(store).height == 2
    store.write("discards/x/a.json", b'{"batch": "x"')
    with pytest.raises(BadInput, match="repair it, because it must not be ignored"):
        episode_rows(store, ["x"])


def test_the_command_says_what_is_missing(place: Place) -> None:
    for arguments, message in (
        (("discard", "a"), "--reason is missing or empty"),
        (("discard",), "name the EPISODES"),
        (("discard", "a", "--undo", "--reason", "x"), "give one of"),
    ):
        result = place.command(*arguments)
        assert (result.returncode, message in result.stderr) == (2, True), result.stderr


def test_a_link_that_failed_is_not_downloaded_again(store: Store) -> None:
    # addresses of this machine are refused without a connection
    store.write("incoming/list.csv", b"url,title\nhttp://127.0.0.1:9/a.mp3,A\nhttp://127.0.0.1:9/b.mp3,B\n")

    def download() -> tuple[pl.DataFrame, pl.DataFrame]:
        fetched = download_list(store, find_arrival(store, "list"), Settings(retry_permanent=True))
        nothing = empty_table(RAW_AUDIO)
        return intake_rows(fetched.unpacked, [], fetched.metadata, nothing, fetched.failures), fetched.failures

    rows, failed = download()
    commit(store, "raw_audio", "list", rows, empty_table(PROVENANCE), failed)
    leave_out(store, f"list/{rows['episode_id'][0]}")
    again, failed = download()
    assert again.select("status", "title").rows() == [("skipped", "A"), ("failed", "B")]
    assert again["error"][0] == WHY
    assert again["episode_id"].equals(rows["episode_id"])
    assert failed["episode_id"].to_list() == [rows["episode_id"][1]]


def test_a_file_that_failed_is_skipped_with_the_reason(store: Store) -> None:
    rows = [
        dict.fromkeys(RAW_AUDIO) | {"episode_id": e, "source": e, "status": status, "error": error}
        for e, status, error in (("a", "done", None), ("b", "failed", "cut off"), ("c", "failed", "cut off"))
    ]
    found = skip_discarded_files(make_table(rows, RAW_AUDIO), {"a": WHY, "b": WHY})
    assert found.select("status", "error").rows() == [("done", None), ("skipped", WHY), ("failed", "cut off")]
