"""Fixtures shared by all tests: stores, the processed sample batch, an S3 server, and real recordings where they exist."""

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from podcast_assets.config.settings import Settings
from podcast_assets.defs.instance import prepare_home
from podcast_assets.demo import BATCH_NAME
from podcast_assets.store.store import Store
from podcast_assets_tests import forked, miniature
from podcast_assets_tests.servers import s3
from podcast_assets_tests.short_clip import drop_clip

CHECKOUT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Place:
    """A folder with its own store and Dagster instance, and the commands that run in it."""

    folder: Path
    url: str | None = None
    """URL of the store; None for a folder in the place."""

    @property
    def store(self) -> Store:
        return Store.at(self.url or self.folder / "store")

    def environment(self, **extra: str) -> Mapping[str, str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("PODCAST_", "DAGSTER_"))}
        return clean | {
            "PODCAST_STORE": self.url or str(self.folder / "store"),
            "DAGSTER_HOME": str(self.folder / "dagster_home"),
            "HF_HUB_OFFLINE": "1",
            "PODCAST_MODELS": str(self.folder / "models"),
            # one window a segment: scores a little off the reference, several times as fast
            "PODCAST_DNSMOS_HOP": "9",
            # the words are the tests' own, and transcribed in a second
            "PODCAST_ENGINES": json.dumps(miniature.ENGINES),
            "COLUMNS": "200",
            **extra,
        }

    def command(self, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `podcast-assets …` in a process of its own and wait for its end."""
        variables = self.environment(**environment)
        return forked.command(*arguments, environment=variables, cwd=self.folder, pictures=True)


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    """Kill what a test has started and not ended: a suspended process would hold up the end of pytest for ever."""
    with forked.none_left():
        yield


@dataclass(frozen=True)
class SampleRun:
    """A sample batch after `podcast-assets demo --json`."""

    place: Place
    report: dict[str, Any]
    log: str
    """Standard error of the command."""

    @property
    def store(self) -> Store:
        return self.place.store

    @property
    def batch(self) -> str:
        return BATCH_NAME


@dataclass(frozen=True)
class SharedFolders:
    """Expensive folders, made once for all workers of pytest-xdist."""

    root: Path

    def make_once(self, name: str, make: Callable[[Path], None]) -> Path:
        """Return a folder by its name, filled by `make` in the worker that needs it first; the others wait. Do not change it.

        If a worker fails or is killed while making it, the next one makes it again.
        """
        folder = self.root / name
        finished = self.root / f"{name}.finished"
        with FileLock(self.root / f"{name}.lock"):
            if not finished.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                finished.touch()
        return folder


@pytest.fixture(scope="session")
def shared_folders(tmp_path_factory: pytest.TempPathFactory) -> SharedFolders:
    """Folders shared by all workers of this test session."""
    base = tmp_path_factory.getbasetemp()
    return SharedFolders(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base)


def _run_demo(folder: Path, **environment: str) -> None:
    result = Place(folder).command("demo", "--json", **environment)
    assert result.returncode == 0, result.stderr
    (folder / "report.json").write_text(result.stdout)
    (folder / "log.txt").write_text(result.stderr)


def _run_miniature(folder: Path) -> None:
    miniature.drop_batch(Place(folder).store)
    _run_demo(folder)


def _read_run(folder: Path) -> SampleRun:
    return SampleRun(Place(folder), json.loads((folder / "report.json").read_text()), (folder / "log.txt").read_text())


@pytest.fixture(scope="session")
def sample_run(shared_folders: SharedFolders) -> SampleRun:
    """The miniature batch in place of the sample batch, from its archive to shards, by the real command and the miniature Whisper.

    Shared by all tests; a test that changes it takes `sample_copy`.
    """
    return _read_run(shared_folders.make_once("sample", _run_miniature))


@pytest.fixture(scope="session")
def demo_run(shared_folders: SharedFolders) -> SampleRun:
    """What a newcomer gets: the sample batch of the package, by the real command with the engines of the profile demo."""
    return _read_run(shared_folders.make_once("demo", partial(_run_demo, PODCAST_ENGINES="{}")))


@pytest.fixture
def sample_copy(sample_run: SampleRun, tmp_path: Path) -> Place:
    """A copy of the finished sample batch (store and Dagster instance) that the test may change."""
    for name in ("store", "dagster_home"):
        shutil.copytree(sample_run.place.folder / name, tmp_path / name)
    return Place(tmp_path)


def _make_dagster_home(folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", "to be restored")
        prepare_home(Settings(dagster_home=folder))


@pytest.fixture
def dagster_home(shared_folders: SharedFolders, tmp_path: Path) -> Path:
    """The `DAGSTER_HOME` of `place`, with its tables, which take Dagster two seconds to create."""
    made = shared_folders.make_once("dagster_home", _make_dagster_home)
    return shutil.copytree(made, tmp_path / "dagster_home")


def _run_clip(folder: Path) -> None:
    place = Place(folder)
    drop_clip(place.store, "one")
    result = place.command("backfill", "one", "--here", "--profile", "demo")
    assert result.returncode == 0, result.stderr


@pytest.fixture
def clip_copy(shared_folders: SharedFolders, tmp_path: Path) -> Place:
    """A copy of a finished batch `one` with one short episode, profile demo, that the test may change."""
    made = shared_folders.make_once("clip", _run_clip)
    for name in ("store", "dagster_home"):
        shutil.copytree(made / name, tmp_path / name)
    return Place(tmp_path)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An empty place."""
    return Place(tmp_path)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[dict[str, str]]:
    """Environment variables by which clients find a real S3 server."""
    with s3.server() as environment:
        yield environment


@pytest.fixture
def bucket(s3_server: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of an empty store in a bucket that this process and its children can reach."""
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in s3_server.items():
        monkeypatch.setenv(name, value)
    return f"s3://{s3.BUCKET}/{uuid.uuid4().hex[:12]}"


@pytest.fixture(params=["folder", pytest.param("bucket", marks=pytest.mark.store)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty store: in a folder, and in a bucket."""
    return Store.at(tmp_path / "store" if request.param == "folder" else request.getfixturevalue("bucket"))


@pytest.fixture(scope="session")
def real_audio() -> Path:
    """Folder of real recordings beside the checkout; their terms do not allow them in it."""
    folder = CHECKOUT.parent / "shared" / "audio"
    if not folder.is_dir():
        pytest.skip("the real recordings are not beside this checkout")
    return folder
