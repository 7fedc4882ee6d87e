"""Links, pipes and sockets in folders that others fill: refused by name and never opened; what lies beside them is taken."""

import os
import socket
from pathlib import Path

import pytest

from podcast_assets.common.errors import BadInput
from podcast_assets.common.regular_files import NotAFile, open_file
from podcast_assets.intake.arrivals import find_arrival, list_incoming
from podcast_assets.intake.feeds.subscriptions import read_subscriptions
from podcast_assets.intake.inspection import inspect_inputs
from podcast_assets.intake.place import place_inputs
from podcast_assets.intake.submit import sort_inputs
from podcast_assets.intake.unpack import unpack
from podcast_assets.store.store import Store

pytestmark = pytest.mark.hostile
LINKS = ("metadata.csv", "linked.mp3", "folder", "loop", "nowhere.mp3")
OTHERS = {"pipe.mp3": "a named pipe, not a file", "socket.wav": "a socket, not a file"}


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret.csv").write_text("root:x:0:0\nbin:x:1:1\n")
    (folder / "b.mp3").write_bytes(b"outside")
    return folder


def fill(folder: Path, outside: Path) -> None:
    """Put a recording, and everything that is none, into a folder."""
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "a.mp3").write_bytes(b"a")
    (folder / "metadata.csv").symlink_to(outside / "secret.csv")
    (folder / "linked.mp3").symlink_to(outside / "b.mp3")
    (folder / "folder").symlink_to(outside)
    (folder / "loop").symlink_to(folder)
    (folder / "nowhere.mp3").symlink_to(folder / "absent")
    os.mkfifo(folder / "pipe.mp3")
    bind_socket(folder / "socket.wav")


def bind_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as s:
        here = Path.cwd()
        os.chdir(path.parent)  # a socket's whole path has 107 bytes at most
        try:
            s.bind(path.name)
        finally:
            os.chdir(here)


def test_only_regular_files_of_an_arrived_folder_are_opened(tmp_path: Path, outside: Path) -> None:
    store = Store.at(tmp_path / "store")
    fill(tmp_path / "store" / "incoming" / "show", outside)
    found = unpack(store, find_arrival(store, "show"))
    assert [f.name for f in found.files] == ["inner/a.mp3"]
    assert found.skipped.keys() == {*LINKS, *OTHERS}
    assert all("PODCAST_ALLOW_LINKS" in found.skipped[name] for name in LINKS)
    assert {name: found.skipped[name] for name in OTHERS} == OTHERS
    assert not found.broken
    assert not found.metadata


@pytest.mark.parametrize("name", ["show.tar", "show.csv", "show.jsonl", "show.meta.csv"])
def test_archives_and_lists_are_no_links_either(tmp_path: Path, outside: Path, name: str) -> None:
    store = Store.at(tmp_path / "store")
    store.write("incoming/good/a.mp3", b"a")
    incoming = tmp_path / "store" / "incoming"
    (incoming / name).symlink_to(outside / "secret.csv")
    os.mkfifo(incoming / "pipe.tar")
    found = list_incoming(store)
    assert found.arrivals.keys() == {"good"}
    assert found.refused.keys() == {name, "pipe.tar"}
    for key in (name, "pipe.tar"):
        with pytest.raises(NotAFile):
            store.read(f"incoming/{key}")
    with pytest.raises(BadInput, match="a named pipe, not a file"):
        find_arrival(store, "pipe")


def test_the_marker_and_the_defaults_are_no_links_either(tmp_path: Path, outside: Path) -> None:
    store = Store.at(tmp_path / "store")
    store.write("incoming/show/a.mp3", b"a")
    for name in ("_READY", ".defaults.json"):
        (tmp_path / "store" / "incoming" / "show" / name).symlink_to(outside / "secret.csv")
    arrival = find_arrival(store, "show")
    assert not arrival.is_declared
    assert arrival.defaults is None
    assert {key for key, _ in arrival.refused} == {"show/_READY", "show/.defaults.json"}


def test_links_are_followed_where_they_are_allowed(tmp_path: Path, outside: Path) -> None:
    store = Store.at(tmp_path / "store", follow_links=True)
    fill(tmp_path / "store" / "incoming" / "show", outside)
    (tmp_path / "store" / "incoming" / "whole").symlink_to(outside)
    found = unpack(store, find_arrival(store, "show"))
    assert sorted(f.name for f in found.files) == ["folder/b.mp3", "inner/a.mp3", "linked.mp3"]
    assert {name: found.skipped[name] for name in OTHERS} == OTHERS
    assert "a folder that contains it" in found.skipped["loop"]
    assert "leads nowhere" in found.skipped["nowhere.mp3"]
    assert [f.name for f in unpack(store, find_arrival(store, "whole")).files] == ["b.mp3"]


def test_a_given_folder_is_placed_without_links_and_pipes(tmp_path: Path, outside: Path) -> None:
    store, folder = Store.at(tmp_path / "store"), tmp_path / "given"
    fill(folder, outside)
    place_inputs(store, [folder], "show")
    found = unpack(store, find_arrival(store, "show"))
    assert [f.name for f in found.files] == ["inner/a.mp3"]
    assert found.skipped.keys() == {*LINKS, *OTHERS}
    warned = [w for w in inspect_inputs([folder], "meta_id") if w.kind == "skipped"]
    assert {w.source for w in warned} == {*LINKS, *OTHERS}
    for name in (*LINKS, *OTHERS):
        (folder / name).unlink()
    place_inputs(store, [folder], "show")
    assert not unpack(store, find_arrival(store, "show")).skipped


def test_a_given_link_is_followed_but_not_a_given_pipe(tmp_path: Path, outside: Path) -> None:
    store, given, pipe = Store.at(tmp_path / "store"), tmp_path / "given", tmp_path / "pipe.opml"
    given.symlink_to(outside)
    place_inputs(store, [given], "show")
    assert [f.name for f in unpack(store, find_arrival(store, "show")).files] == ["b.mp3"]
    os.mkfifo(pipe)
    for call in (lambda: place_inputs(store, [pipe], "other"), lambda: sort_inputs([str(pipe)])):
        with pytest.raises(BadInput, match="neither a file nor a folder"):
            call()


def test_nothing_is_written_through_a_link(tmp_path: Path, outside: Path) -> None:
    store = Store.at(tmp_path / "store")
    (tmp_path / "store" / "incoming").mkdir(parents=True)
    (tmp_path / "store" / "incoming" / "show").symlink_to(outside)
    (tmp_path / "a.mp3").write_bytes(b"a")
    before = sorted(p.name for p in outside.iterdir())
    with pytest.raises(BadInput, match="symbolic link"):
        place_inputs(store, [tmp_path / "a.mp3"], "show")
    assert sorted(p.name for p in outside.iterdir()) == before


def test_a_folder_replaced_by_a_link_after_it_was_listed_is_not_entered(tmp_path: Path, outside: Path) -> None:
    store = Store.at(tmp_path / "store")
    store.write("incoming/show/inner/b.mp3", b"mine")
    store.write("incoming/show/c.mp3", b"c")
    arrival = find_arrival(store, "show")
    inner = tmp_path / "store" / "incoming" / "show" / "inner"
    (inner / "b.mp3").unlink()
    inner.rmdir()
    inner.symlink_to(outside)
    found = unpack(store, arrival)
    assert [f.name for f in found.files] == ["c.mp3"]
    assert found.skipped.keys() == {"inner/b.mp3"}


def test_the_flags_hold_where_the_check_came_too_early(
    tmp_path: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "b.mp3").symlink_to(outside / "b.mp3")
    (tmp_path / "inner").symlink_to(outside)
    monkeypatch.setattr("podcast_assets.common.regular_files._check", lambda *_: None)
    for name in ("b.mp3", "inner/b.mp3"):
        with pytest.raises(NotAFile):
            open_file(tmp_path, name, follow_links=False)


def test_lists_of_feeds_are_no_links(tmp_path: Path, outside: Path) -> None:
    store = Store.at(tmp_path / "store")
    store.write("feeds/mine.csv", b"url\nhttps://x.org/feed.xml\n")
    (tmp_path / "store" / "feeds" / "theirs.csv").symlink_to(outside / "secret.csv")
    os.mkfifo(tmp_path / "store" / "feeds" / "pipe.opml")
    found = read_subscriptions(store)
    assert len(found.feeds) == 1
    assert "symbolic link" in found.troubles["theirs.csv"]
    assert found.troubles["pipe.opml"] == "a named pipe, not a file"


def test_a_file_that_may_not_be_read_takes_no_other_down(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read every file")
    store = Store.at(tmp_path / "store")
    store.write("incoming/show/a.mp3", b"a")
    store.write("incoming/show/b.mp3", b"b")
    (tmp_path / "store" / "incoming" / "show" / "b.mp3").chmod(0)
    found = unpack(store, find_arrival(store, "show"))
    assert [f.name for f in found.files] == ["a.mp3"]
    assert "may not read it" in found.broken["b.mp3"]


def test_a_stranger_s_list_of_refused_files_takes_no_file_down(tmp_path: Path) -> None:
    store = Store.at(tmp_path / "store")
    store.write("incoming/show/a.mp3", b"a")
    store.write("incoming/show/.refused.json", b"[[]]")
    found = unpack(store, find_arrival(store, "show"))
    assert [f.name for f in found.files] == ["a.mp3"]
    assert "not a JSON object" in found.skipped[".refused.json"]
