"""What counts as a batch, and when it has arrived."""

from pathlib import Path

import pytest

from podcast_assets.common.errors import BadInput
from podcast_assets.intake.arrivals import IncomingFile, find_arrival, find_settled, group_by_batch, list_incoming
from podcast_assets.intake.file_names import file_episode_id
from podcast_assets.intake.names import BATCH_NAME, batch_name
from podcast_assets.intake.place import batch_name_for, place_inputs
from podcast_assets.store.store import Store


def file(key: str, size: int = 1, modified: float = 100.0) -> IncomingFile:
    return IncomingFile(key, size, modified)


def test_archives_and_folders_are_batches_with_their_metadata() -> None:
    found = group_by_batch(
        [
            file("a.tar"),
            file("b.tar.gz"),
            file("c.zip"),
            file("d/one.mp3"),
            file("d/sub/two.mp3"),
            file("a.meta.parquet"),
        ]
    )
    assert sorted(found.arrivals) == ["a", "b", "c", "d"]
    assert [f.key for f in found.arrivals["a"].metadata] == ["a.meta.parquet"]
    assert [f.key for f in found.arrivals["d"].files] == ["d/one.mp3", "d/sub/two.mp3"]
    assert found.refused == {}


def test_what_is_no_batch_is_said() -> None:
    found = group_by_batch([file("notes.txt"), file("a.tar"), file("a.zip"), file("z.meta.csv"), file(".hidden.tar")])
    assert sorted(found.arrivals) == ["a"]
    assert sorted(found.refused) == ["a.zip", "notes.txt", "z.meta.csv"]
    assert "rename" in found.refused["a.zip"]


@pytest.mark.parametrize("name", ["Ein Ärger, und mehr", "a...b", "..", "x" * 90, "日本", "UPPER"])
def test_every_name_becomes_a_safe_partition_key(name: str) -> None:
    assert BATCH_NAME.fullmatch(batch_name(name))


def test_episode_ids_have_no_dots_or_slashes() -> None:
    assert file_episode_id("Show 1/Ep. 12: Äpfel.mp3", "0123456789abcdef") == "ep-12-apfel-0123456789ab"


def test_a_batch_is_ready_when_it_has_stopped_growing() -> None:
    growing = group_by_batch([file("a/1.mp3", size=10)])
    first = find_settled(growing, {}, now=200, minimum_age=30)
    assert (first.ready, list(first.waiting)) == ({}, ["a"])
    bigger = group_by_batch([file("a/1.mp3", size=20)])
    second = find_settled(bigger, first.waiting, now=240, minimum_age=30)
    assert second.ready == {}
    third = find_settled(bigger, second.waiting, now=260, minimum_age=30)
    assert third.ready == {}
    assert list(find_settled(bigger, third.waiting, now=270, minimum_age=30).ready) == ["a"]


@pytest.mark.parametrize("modified", [0.0, 1e12], ids=["long ago", "in the future"])
def test_times_of_files_that_are_no_times_of_arrival_do_not_count(modified: float) -> None:
    there = group_by_batch([file("a/1.mp3", modified=modified)])
    first = find_settled(there, {}, now=1000, minimum_age=30)
    assert find_settled(there, first.waiting, now=1015, minimum_age=30).ready == {}
    assert list(find_settled(there, first.waiting, now=1030, minimum_age=30).ready) == ["a"]


def test_listing_a_store(store: Store) -> None:
    assert list_incoming(store).arrivals == {}
    store.write("incoming/one.tar", b"x" * 7)
    store.write("incoming/two/a.mp3", b"y")
    found = list_incoming(store).arrivals
    assert (sorted(found), found["one"].bytes) == (["one", "two"], 7)
    before = found["two"].signature
    store.write("incoming/two/b.mp3", b"z")
    assert find_arrival(store, "two").signature != before
    with pytest.raises(BadInput, match="batch three: nothing of that name"):
        find_arrival(store, "three")


NAMES = (
    "show.tar", "show.zip", "show/a.mp3", "show.meta.csv", "show.meta.jsonl", "show.jsonl",
    "show-p0000.tar", "show-p0001/a.mp3", "show-p0000.meta.csv",
    "show1/a.mp3", "show1/s1/b.mp3", "show1/.defaults.json", "show1/_READY", "show10/c.mp3", "show10.meta.parquet",
    "show.1/a.mp3", "show.1.tar.gz", "show.meta.tar", "show.tar.jsonl", "SHOW2.TAR.GZ", "Show 2/x.mp3", "Show 2.meta.csv",
    "links.jsonl", "links.meta.csv", "links-2.csv", "links.csv.parquet", "Übung & Co/a.mp3", "ubung-co.meta.csv",
    "feed-0a1b-2026-01-01.jsonl", "feed-0a1b-2026-01-01-2.jsonl",
    "no-batch.txt", "lost.meta.csv", ".hidden.tar", ".hidden/a.mp3", "only-hidden/.a.mp3",
)  # fmt: skip


def test_a_batch_is_found_by_its_name_as_in_the_whole_listing(store: Store) -> None:
    for key in NAMES:
        store.write(f"incoming/{key}", key.encode())
    whole = list_incoming(store).arrivals
    assert {"show", "show-p0000", "show-p0001", "show1", "show10", "show.1", "show2", "show-2", "ubung-co"} < set(whole)
    assert {batch: find_arrival(store, batch) for batch in whole} == whole
    assert [f.key for f in whole["show"].metadata] == ["show.meta.csv", "show.meta.jsonl"]
    for absent in (
        "sho",
        "show2.tar.gz",
        "hidden",
        ".hidden",
        "only-hidden",
        "incoming",
        "links.meta",
    ):
        with pytest.raises(BadInput, match="nothing of that name"):
            find_arrival(store, absent)
    for refused, why in (
        ("no-batch", "batch no-batch: incoming/no-batch.txt: neither an archive, a folder nor a list of URLs"),
        ("lost", "batch lost: incoming/lost.meta.csv: metadata without a batch of that name"),
    ):
        with pytest.raises(BadInput, match=why):
            find_arrival(store, refused)


def test_a_link_to_a_folder_is_no_batch(tmp_path: Path) -> None:
    store = Store.at(tmp_path / "store")
    store.write("elsewhere/a.mp3", b"x")
    store.write("incoming/b.tar", b"x")
    (tmp_path / "store" / "incoming" / "linked").symlink_to(tmp_path / "store" / "elsewhere")
    assert list(list_incoming(store).refused) == ["linked"]
    with pytest.raises(BadInput, match="batch linked: incoming/linked: "):
        find_arrival(store, "linked")


def test_placing_a_folder_twice_follows_its_changes(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "My Show"
    (folder / "s1").mkdir(parents=True)
    (folder / "s1" / "a.mp3").write_bytes(b"a")
    (folder / "b.mp3").write_bytes(b"b")
    batch = batch_name_for([folder])
    assert batch.startswith("my-show-")
    place_inputs(store, [folder], batch)
    first = find_arrival(store, batch)
    assert [f.key for f in first.files] == [f"{batch}/b.mp3", f"{batch}/s1/a.mp3"]
    place_inputs(store, [folder], batch_name_for([folder]))
    assert find_arrival(store, batch).signature == first.signature
    (folder / "b.mp3").unlink()
    (folder / "c.mp3").write_bytes(b"c")
    place_inputs(store, [folder], batch)
    assert [f.key for f in find_arrival(store, batch).files] == [f"{batch}/c.mp3", f"{batch}/s1/a.mp3"]


def test_placing_what_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file or folder"):
        place_inputs(Store.at(tmp_path), [tmp_path / "nowhere"], "b")
    with pytest.raises(BadInput, match="is not a valid batch name"):
        place_inputs(Store.at(tmp_path), [tmp_path], "A,b")


def test_placing_leaves_alone_what_somebody_else_put_there(store: Store, tmp_path: Path) -> None:
    extra = tmp_path / "extra.mp3"
    extra.write_bytes(b"extra")
    store.write("incoming/show1/theirs.mp3", b"theirs")
    with pytest.raises(BadInput, match=r"batch show1: .*not created by this command"):
        place_inputs(store, [extra], "show1")
    assert [f.key for f in find_arrival(store, "show1").files] == ["show1/theirs.mp3"]
    place_inputs(store, [extra], "mine")
    store.write("incoming/mine/theirs.mp3", b"theirs")
    place_inputs(store, [extra], "mine")
    assert [f.key for f in find_arrival(store, "mine").files] == ["mine/extra.mp3", "mine/theirs.mp3"]
    with pytest.raises(BadInput, match=r"already has a file theirs.mp3 that this command did not put there"):
        (tmp_path / "theirs.mp3").write_bytes(b"other")
        place_inputs(store, [tmp_path / "theirs.mp3"], "mine")
    assert store.read("incoming/mine/theirs.mp3") == b"theirs"


def test_placing_under_the_name_of_an_archive_is_refused(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "show2"
    folder.mkdir()
    (folder / "a.mp3").write_bytes(b"a")
    store.write("incoming/show2.tar", b"archive")
    with pytest.raises(BadInput, match=r"batch show2: .*show2.tar has that name"):
        place_inputs(store, [folder], "show2")
    assert not store.exists("incoming/show2")


def test_placing_goes_on_after_it_was_cut_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, folder = Store.at(tmp_path / "store"), tmp_path / "show"
    folder.mkdir()
    for name in ("a.mp3", "b.mp3", ".hidden.mp3"):
        (folder / name).write_bytes(name.encode())
    with monkeypatch.context() as cut:
        cut.setattr("os.link", lambda source, target, **_: target.write_bytes(b"half") and pytest.fail("cut"))
        with pytest.raises(pytest.fail.Exception):
            place_inputs(store, [folder], "show")
    place_inputs(store, [folder], "show")
    (folder / "a.mp3").unlink()
    place_inputs(store, [folder], "show")
    assert [f.key for f in find_arrival(store, "show").files] == ["show/b.mp3"]
    assert not store.exists("incoming/show/.hidden.mp3")


@pytest.mark.parametrize("marker", ["_READY", ".ready", "_SUCCESS"])
def test_a_folder_with_its_marker_is_ready_at_once(marker: str) -> None:
    there = group_by_batch(
        [file("a/1.mp3", modified=10), file(f"a/{marker}", modified=10), file("b/1.mp3", modified=10)]
    )
    assert [f.key for f in there.arrivals["a"].files] == ["a/1.mp3"]
    assert list(find_settled(there, {}, now=100, minimum_age=30).ready) == ["a"]


def test_a_marker_older_than_a_file_says_nothing_of_it() -> None:
    there = group_by_batch([file("a/1.mp3", modified=10), file("a/2.mp3", modified=20), file("a/_READY", modified=15)])
    first = find_settled(there, {}, now=100, minimum_age=30, require_ready=True)
    assert first.ready == {}
    assert list(find_settled(there, first.waiting, now=131, minimum_age=30, require_ready=True).ready) == ["a"]


def test_where_markers_are_required_folders_wait_for_them_and_archives_do_not() -> None:
    there = group_by_batch([file("a/1.mp3"), file("b.tar")])
    first = find_settled(there, {}, now=100, minimum_age=30, require_ready=True)
    assert list(find_settled(there, first.waiting, now=1e9, minimum_age=30, require_ready=True).ready) == ["b"]


def test_a_marker_is_no_change_of_its_batch() -> None:
    without, marked = (
        group_by_batch([file("a/1.mp3")]),
        group_by_batch([file("a/1.mp3"), file("a/_READY", modified=1e6)]),
    )
    assert without.arrivals["a"].signature == marked.arrivals["a"].signature
