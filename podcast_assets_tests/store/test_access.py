"""Who may read what a store holds, and that nobody can put a link where a file is written."""

import io
import os
import stat
from pathlib import Path

import pytest

from podcast_assets.common import locks
from podcast_assets.common.errors import Misconfigured
from podcast_assets.config.settings import Settings
from podcast_assets.defs.build import build_definitions
from podcast_assets.defs.instance import prepare_home
from podcast_assets.intake.downloads.partial import PartialDownload
from podcast_assets.stages.compute.device import hold_device
from podcast_assets.store.backends.access import Access
from podcast_assets.store.store import Store


@pytest.fixture(autouse=True)
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def modes(top: Path) -> tuple[set[int], set[int]]:
    """Permissions of all files, and of all folders."""
    files, folders = set[int](), {mode_of(top)}
    for path in top.rglob("*"):
        (folders if path.is_dir() else files).add(mode_of(path))
    return files, folders


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("access", "file", "folder"), [("private", 0o600, 0o700), ("group", 0o660, 0o770), ("umask", 0o644, 0o755)]
)
def test_every_file_of_a_store_has_its_permissions(tmp_path: Path, access: Access, file: int, folder: int) -> None:
    before = os.umask(0o022)
    try:
        store = Store.at(tmp_path / "a" / "store", access=access)
        store.write("tables/raw_audio/b.parquet", b"x")
        store.upload(Path(__file__), "transcripts/b/e.md")
        store.put_original(io.BytesIO(b"x"), ".mp3")
        with store.batch_lock("b"):
            pass
    finally:
        os.umask(before)
    assert modes(tmp_path / "a") == ({file}, {folder})


def test_a_download_that_goes_on_is_private_and_follows_no_link(tmp_path: Path) -> None:
    with PartialDownload(tmp_path, "0" * 32) as partial:
        assert mode_of(partial.path) == 0o600
    (tmp_path / "mine").write_bytes(b"mine")
    trap = PartialDownload(tmp_path, "1" * 32)
    trap.path.symlink_to(tmp_path / "mine")
    with pytest.raises(OSError, match="symbolic links"), trap:
        pass
    assert (tmp_path / "mine").read_bytes() == b"mine"


def test_the_instance_s_folder_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    assert mode_of(prepare_home(Settings(dagster_home=tmp_path / "home"))) == 0o700


def test_assets_get_the_setting() -> None:
    settings = Settings(store_access="group", allow_links=True)
    store = (build_definitions(settings).resources or {})["store"].get()
    assert (store.access, store.follow_links) == ("group", True)


def test_locks_are_in_a_private_folder(temporary_folder: Path) -> None:
    folder = temporary_folder / f"podcast-assets-locks-{os.getuid()}"
    folder.mkdir(0o755)  # as earlier versions made it
    with hold_device(["cuda:0"]) as device:
        assert device == "cuda:0"
    assert modes(folder) == ({0o600}, {0o700})


def test_a_lock_follows_no_link(tmp_path: Path, temporary_folder: Path) -> None:
    link = locks.private_folder() / "cuda-0.lock"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"), hold_device(["cuda:0"]):
        pass
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("trap", ["link", "file"])
def test_a_folder_of_somebody_else_holds_no_locks(tmp_path: Path, temporary_folder: Path, trap: str) -> None:
    name = temporary_folder / f"podcast-assets-locks-{os.getuid()}"
    if trap == "link":
        name.symlink_to(tmp_path)
    else:
        name.touch()
    with pytest.raises(Misconfigured, match="not a folder of this user"):
        locks.private_folder()
