"""`podcast-assets release` killed with -9 on its way, and two of them at once: what readers see is always one whole release."""

import hashlib
import io
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from podcast_assets.dataset.options import options_of
from podcast_assets.dataset.published import read_list
from podcast_assets.dataset.release import Released, release
from podcast_assets.dataset.targets.bucket import BucketTarget
from podcast_assets.dataset.targets.hub import HubTarget
from podcast_assets.settings import Settings
from podcast_assets.store import Store
from podcast_assets_tests.conftest import Place
from podcast_assets_tests.dataset.sealed_store import seal, take_down
from podcast_assets_tests.hub_datasets import TOKEN, DatasetHub, running_dataset_hub

pytestmark = pytest.mark.release

REPO = "tester/talk"
PATIENCE = 120.0
"""Seconds until a process that does not come to its point counts as stuck."""
AUDIO = 400_000
"""Bytes of a sample: a shard of six goes up in three parts."""


@dataclass(frozen=True)
class Publisher:
    """A store, and the processes that release it."""

    place: Place
    hub: DatasetHub
    shard_bytes: int

    @property
    def store(self) -> Store:
        return self.place.store

    def environment(self) -> Mapping[str, str]:
        return self.place.environment(
            HF_ENDPOINT=self.hub.url,
            HF_TOKEN=TOKEN,
            HF_HUB_OFFLINE="0",
            HF_HUB_DISABLE_XET="1",
            PODCAST_HUB_REPO=REPO,
            PODCAST_SHARD_BYTES=str(self.shard_bytes),
        )

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "podcast_assets.cli", "release"],
            cwd=self.place.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def release(self) -> Released:
        """Release to the end, in this process."""
        target = HubTarget(REPO, endpoint=self.hub.url, token=TOKEN)
        return release(self.store, target, options_of(Settings(shard_bytes=self.shard_bytes)))


def ended(process: subprocess.Popen[str]) -> str:
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, out
    assert TOKEN not in out
    return out


def samples(files: Mapping[str, bytes]) -> list[str]:
    """Keys of all samples, of a dataset whose list and shards agree."""
    listed = {s.path: s.sha256 for s in read_list(files.get("shards.jsonl", b""))}
    assert listed == {p: hashlib.sha256(d).hexdigest() for p, d in files.items() if p.endswith(".tar")}
    found = []
    for path in listed:
        with tarfile.open(fileobj=io.BytesIO(files[path])) as tar:
            found += [m.name.removesuffix(".json") for m in tar if m.name.endswith(".json")]
    assert len(found) == len(set(found))
    return found


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DatasetHub]:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    with running_dataset_hub(tmp_path / "hub") as found:
        yield found


def publisher(hub: DatasetHub, folder: Path, shard_bytes: int = 3_000_000) -> Publisher:
    folder.mkdir()
    return Publisher(Place(folder), hub, shard_bytes)


POINTS = {
    "it looks at the head": ("GET", "/tree/", 0, False),
    "it asks how to upload": ("POST", "/preupload/", 0, False),
    "half of the first shard is there": ("PUT", "/_lfs/part/", 1, False),
    "the first shard is there": ("PUT", "/_lfs/part/", 4, False),
    "it is about to commit": ("POST", "/commit/main", 0, False),
    "it has committed and does not know": ("POST", "/commit/main", 0, True),
    "it has committed and not tagged": ("POST", "/tag/", 0, False),
}


@pytest.mark.parametrize("point", POINTS)
def test_killed_while(hub: DatasetHub, tmp_path: Path, point: str) -> None:
    ours = publisher(hub, tmp_path / "ours")
    seal(ours.store, "b1", audio_bytes=AUDIO)
    ours.release()
    for batch in ("b2", "b3"):
        seal(ours.store, batch, audio_bytes=AUDIO)
    before = hub.files(REPO)
    method, text, passed, applied = POINTS[point]
    fault = hub.fault(method, text, passed=passed, applied=applied, hold=True)
    hub.requests.clear()
    process = ours.start()
    assert fault.reached.wait(PATIENCE), point
    process.kill()
    process.communicate()
    seen = hub.files(REPO)
    committed = applied or text == "/tag/"
    assert (seen == before) != committed
    assert len(samples(seen)) == (18 if committed else 6)
    assert ours.release().changed != committed
    assert len(hub.commits(REPO)) == 2
    assert hub.repos[REPO].tags.keys() == {"r0001", "r0002"}
    assert hub.repos[REPO].tags["r0002"] == hub.repos[REPO].refs["main"]
    assert len(samples(hub.files(REPO))) == 18
    if point == "the first shard is there":
        shard = hashlib.sha256(hub.files(REPO)["data/en/train/audio_000001.tar"]).hexdigest()
        assert [r.path for r in hub.requests if shard in r.path and "/part/" in r.path] == [
            f"/_lfs/part/{shard}/{n}" for n in (1, 2, 3)
        ], "its bytes came once"


@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("step", ["a portion", "the merge"])
def test_killed_in_a_pull_request(hub: DatasetHub, tmp_path: Path, step: str, applied: bool) -> None:
    ours = publisher(hub, tmp_path / "ours", shard_bytes=20_000)
    for number in range(60):
        seal(ours.store, f"b{number:02d}")
    merge = step == "the merge"
    text, passed = ("/merge", 0) if merge else ("/commit/refs/pr/1", 1)
    fault = hub.fault("POST", text, passed=passed, applied=applied, hold=True)
    process = ours.start()
    assert fault.reached.wait(PATIENCE)
    process.kill()
    process.communicate()
    assert len(samples(hub.files(REPO))) == (360 if applied and merge else 0)
    ours.release()
    assert len(hub.commits(REPO)) == 1 and len(hub.repos[REPO].pull_requests) == 1
    assert hub.repos[REPO].tags == {"r0001": hub.repos[REPO].refs["main"]}
    assert len(samples(hub.files(REPO))) == 360


@pytest.mark.parametrize("left", [1, 0])
@pytest.mark.parametrize("applied", [False, True])
def test_killed_while_what_was_taken_down_goes_from_the_history(
    hub: DatasetHub, tmp_path: Path, applied: bool, left: int
) -> None:
    ours = publisher(hub, tmp_path / "ours")
    seal(ours.store, "b1", ("one", "two"))
    ours.release()
    shard = hashlib.sha256(hub.files(REPO)["data/en/train/audio_000000.tar"]).hexdigest()
    take_down(ours.store, "b1", *("one", "two")[left:])
    fault = hub.fault("POST", "/lfs-files/batch", applied=applied, hold=True)
    process = ours.start()
    assert fault.reached.wait(PATIENCE)
    process.kill()
    process.communicate()
    assert len(samples(hub.files(REPO))) == 3 * left
    assert hub.blobs.path(shard).exists() != applied
    ours.release()
    assert not hub.blobs.path(shard).exists()
    assert list(ours.store.list("takedowns/unpurged")) == []
    assert hub.repos[REPO].tags.keys() == {"r0001", "r0002"}
    assert hub.repos[REPO].tags["r0002"] == hub.repos[REPO].refs["main"]
    assert not ours.release().changed


def test_two_stores_release_at_once(hub: DatasetHub, tmp_path: Path) -> None:
    one, other = publisher(hub, tmp_path / "one"), publisher(hub, tmp_path / "other")
    seal(one.store, "b1", audio_bytes=AUDIO)
    one.release()
    seal(one.store, "b2", audio_bytes=AUDIO)
    seal(other.store, "c1", audio_bytes=AUDIO)
    processes = [one.start(), other.start()]
    for process in processes:
        ended(process)
    assert len(hub.commits(REPO)) == 3
    assert {key[:2] for key in samples(hub.files(REPO))} == {"b1", "b2", "c1"}
    assert len(hub.repos[REPO].tags) == 3


def test_one_store_released_by_two_at_once_is_released_once(hub: DatasetHub, tmp_path: Path) -> None:
    ours = publisher(hub, tmp_path / "ours")
    seal(ours.store, "b1", audio_bytes=AUDIO)
    told = [ended(p) for p in [ours.start(), ours.start()]]
    assert sorted("nothing has changed" in t for t in told) == [False, True]
    assert len(hub.commits(REPO)) == 1
    assert len(samples(hub.files(REPO))) == 6


def there(top: Path) -> dict[str, bytes]:
    return {p.relative_to(top).as_posix(): p.read_bytes() for p in top.rglob("*") if p.is_file()}


def hidden(folder: Path) -> list[str]:
    return [p.name for p in folder.iterdir() if p.name.startswith(".")]


HELD = """
import os, sys
from podcast_assets.dataset import release
assemble, pipe, batch = release.assemble, sys.argv[1], sys.argv[2]
def held(store, parts, out):
    if any(p.batch == batch for p in parts):
        open(pipe).read()
    return assemble(store, parts, out)
release.assemble = held
from podcast_assets.cli import main
main(["release"])
"""


def start_held(place: Place, pipe: Path, batch: str, **settings: str) -> subprocess.Popen[str]:
    """A release that waits before it makes the shard of a batch: until a pipe is opened to write, and closed."""
    os.mkfifo(pipe)
    return subprocess.Popen(
        [sys.executable, "-c", HELD, str(pipe), batch],
        cwd=place.folder,
        env=place.environment(**settings),
        stderr=subprocess.PIPE,
        text=True,
    )


def test_killed_while_a_folder_is_released(place: Place) -> None:
    def files() -> dict[str, bytes]:
        return there(place.folder / "store" / "dataset")

    small = {"PODCAST_SHARD_BYTES": "20000"}
    seal(place.store, "b1")
    assert place.command("release", **small).returncode == 0
    before = files()
    seal(place.store, "b2")
    seal(place.store, "b3")
    pipe = place.folder / "pipe"
    process = start_held(place, pipe, "b3", **small)
    with pipe.open("w"):  # opens when the process does
        assert list((place.folder / "store" / ".dataset.next").rglob("audio_000001.tar"))
        process.kill()
        process.communicate()
    assert files() == before
    assert place.command("release", **small).returncode == 0
    assert len(samples(files())) == 18
    assert hidden(place.folder / "store") == []


def test_two_stores_release_to_one_folder_at_once(tmp_path: Path) -> None:
    """The first is held until the other waits for it."""
    folder = tmp_path / "published" / "talk"
    how = {"PODCAST_RELEASE_FOLDER": str(folder), "PODCAST_SHARD_BYTES": "20000"}
    places = [Place(tmp_path / name) for name in ("one", "other")]
    for place in places:
        place.folder.mkdir()
        seal(place.store, place.folder.name)
        seal(place.store, f"{place.folder.name}2")
    pipe = tmp_path / "pipe"
    first = start_held(places[0], pipe, "one2", **how)
    with pipe.open("w"):  # opens when the process does
        second = subprocess.Popen(
            [sys.executable, "-m", "podcast_assets.cli", "release"],
            cwd=places[1].folder,
            env=places[1].environment(**how),
            stderr=subprocess.PIPE,
            text=True,
        )
        assert second.stderr is not None
        for line in second.stderr:
            if "waiting for another release" in line:
                break
    for process in (first, second):
        _, told = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, told
    found = samples(there(folder))
    assert len(found) == 24 and {key.split("-")[0] for key in found} == {"one", "one2", "other", "other2"}
    assert hidden(folder.parent) == []


class _PulledOut(BaseException):
    """The plug."""


@dataclass(frozen=True)
class _Dying(Store):
    """A store that does so many writes, and no more."""

    left: list[int] = field(default_factory=list)

    def _spend(self) -> None:
        if not self.left:
            raise _PulledOut
        self.left.pop()

    def write(self, key: str, data: bytes) -> None:
        self._spend()
        super().write(key, data)

    def upload(self, source: Path, key: str) -> None:
        self._spend()
        super().upload(source, key)

    def remove(self, key: str) -> None:
        self._spend()
        super().remove(key)


@pytest.mark.store
def test_broken_off_at_any_write_to_a_bucket(tmp_path: Path, bucket: str) -> None:
    """The last samples are taken down: wherever it ends, the next release takes all of them away."""
    store, options = Store.at(tmp_path / "store"), options_of(Settings())
    seal(store, "b1")
    first = Store.at(f"{bucket}/first")
    release(store, BucketTarget(first), options)
    before = {e.key: first.read(e.key) for e in first.list("")}
    assert len(samples(before)) == 6
    take_down(store, "b1", "one", "two")
    writes = 0
    for writes in range(50):
        place = Store.at(f"{bucket}/{writes}")
        for key, data in before.items():
            place.write(key, data)
        try:
            release(store, BucketTarget(_Dying(place.root, [0] * writes)), options)
        except _PulledOut:
            release(store, BucketTarget(place), options)
            left = {e.key: place.read(e.key) for e in place.list("")}
            assert samples(left) == [] and not any(b"b1-one" in d for d in left.values()), f"{writes} writes"
            assert not any(p.startswith(("metadata/", "episodes/")) for p in left), f"{writes} writes"
        else:
            break
    assert writes > 5


def test_killed_after_a_folder_was_swapped(place: Place) -> None:
    """Nothing of what was taken down is left beside it after the next release."""
    code = """
import os, signal
from podcast_assets.dataset.targets.folder import FolderTarget
take = FolderTarget.take
def swap_and_die(self, fresh):
    take(self, fresh)
    os.kill(os.getpid(), signal.SIGKILL)
FolderTarget.take = swap_and_die
from podcast_assets.cli import main
main(["release"])
"""
    folder = place.folder / "store"
    seal(place.store, "b1")
    assert place.command("release").returncode == 0
    take_down(place.store, "b1", "one")
    killed = subprocess.run(
        [sys.executable, "-c", code], cwd=place.folder, env=place.environment(), stderr=subprocess.DEVNULL, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert len(samples(there(folder / "dataset"))) == 3
    again = place.command("release")
    assert again.returncode == 0 and "nothing has changed" in again.stdout + again.stderr
    assert len(samples(there(folder / "dataset"))) == 3 and hidden(folder) == []
