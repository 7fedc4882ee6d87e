"""`podcast-assets release` killed with -9 on its way, and two of them at once: what readers see is always one whole release."""

import contextlib
import hashlib
import io
import os
import signal
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import pytest

from podcast_assets.config.settings import Settings
from podcast_assets.release import release as release_module
from podcast_assets.release.assemble import AssembledShard
from podcast_assets.release.options import release_options
from podcast_assets.release.published import parse_shard_list
from podcast_assets.release.release import ReleaseResult, release
from podcast_assets.release.selection import SealedPart
from podcast_assets.release.targets.bucket import BucketTarget
from podcast_assets.release.targets.folder import FolderTarget
from podcast_assets.release.targets.hub import COMMIT_FILES, HubTarget
from podcast_assets.store.store import Store
from podcast_assets_tests import forked
from podcast_assets_tests.conftest import Place
from podcast_assets_tests.doubles.hub import TOKEN, Fault, HubDouble
from podcast_assets_tests.forked import Child
from podcast_assets_tests.release.sealed_store import seal, take_down
from podcast_assets_tests.waiting import wait_for

pytestmark = pytest.mark.release

REPO = "tester/talk"
PATIENCE = 600.0
"""Seconds until a process that does not come to its point counts as stuck."""
AUDIO = 400_000
"""Bytes of a sample: a shard of six goes up in three parts."""


@dataclass(frozen=True)
class Publisher:
    """A store, and what releases it."""

    place: Place
    hub: HubDouble
    shard_bytes: int
    commit_files: int

    @property
    def store(self) -> Store:
        return self.place.store

    def start_command(self) -> Child:
        """Begin `podcast-assets release`."""
        environment = self.place.environment(
            HF_ENDPOINT=self.hub.url,
            HF_TOKEN=TOKEN,
            HF_HUB_OFFLINE="0",
            HF_HUB_DISABLE_XET="1",
            PODCAST_HUB_REPO=REPO,
            PODCAST_SHARD_BYTES=str(self.shard_bytes),
        )
        return forked.start_command("release", environment=environment, cwd=self.place.folder)

    def start(self) -> Child:
        """Begin a release in a process of its own, without Dagster."""
        how = (self.store, self.hub.url, self.shard_bytes, self.commit_files)
        environment = self.place.environment(HF_HUB_OFFLINE="0", HF_HUB_DISABLE_XET="1")
        return forked.start(release_to_hub, *how, environment=environment, cwd=self.place.folder)

    def release(self) -> ReleaseResult:
        """Release to the end, in this process."""
        return release_to_hub(self.store, self.hub.url, self.shard_bytes, self.commit_files)


def release_to_hub(store: Store, url: str, shard_bytes: int, commit_files: int) -> ReleaseResult:
    target = HubTarget(REPO, endpoint=url, token=TOKEN, commit_files=commit_files)
    return release(store, target, release_options(Settings(shard_bytes=shard_bytes)))


def ended(child: Child) -> str:
    status = child.wait(PATIENCE)
    assert status == 0, child.err
    assert TOKEN not in child.out + child.err
    return child.out + child.err


def kill_at(fault: Fault, child: Child) -> None:
    """Kill a process that the double holds at a request, once it is there."""
    reached = fault.reached.is_set
    wait_for("the request", lambda: reached() or not child.running, patience=PATIENCE, every=0.02)
    assert child.running, child.err
    child.kill()


def samples(files: Mapping[str, bytes]) -> list[str]:
    """Keys of all samples, of a dataset whose list and shards agree."""
    listed = {s.path: s.sha256 for s in parse_shard_list(files.get("shards.jsonl", b""))}
    assert listed == {p: hashlib.sha256(d).hexdigest() for p, d in files.items() if p.endswith(".tar")}
    found = []
    for path in listed:
        with tarfile.open(fileobj=io.BytesIO(files[path])) as tar:
            found += [m.name.removesuffix(".json") for m in tar if m.name.endswith(".json")]
    assert len(found) == len(set(found))
    return found


def publisher(
    hub: HubDouble, folder: Path, *, shard_bytes: int = 3_000_000, commit_files: int = COMMIT_FILES
) -> Publisher:
    folder.mkdir()
    return Publisher(Place(folder), hub, shard_bytes, commit_files)


POINTS = {
    "it looks at the head": ("GET", "/tree/", 0, False),
    "it asks how to upload": ("POST", "/preupload/", 0, False),
    "half of the first shard is there": ("PUT", "/_lfs/part/", 1, False),
    "the first shard is there": ("PUT", "/_lfs/part/", 4, False),
    "it is about to commit": ("POST", "/commit/main", 0, False),
    "it has committed and does not know": ("POST", "/commit/main", 0, True),
    "it has committed and not tagged": ("POST", "/tag/", 0, False),
}

BY_COMMAND = ("half of the first shard is there", "it has committed and does not know")
"""Where it is the whole command that is killed, with its run of Dagster."""


@pytest.mark.parametrize("point", POINTS)
def test_killed_while(hub: HubDouble, tmp_path: Path, point: str) -> None:
    ours = publisher(hub, tmp_path / "ours")
    seal(ours.store, "b1", audio_bytes=AUDIO)
    ours.release()
    for batch in ("b2", "b3"):
        seal(ours.store, batch, audio_bytes=AUDIO)
    before = hub.files(REPO)
    method, text, passed, applied = POINTS[point]
    fault = hub.fault(method, text, skip=passed, applied=applied, hold=True)
    hub.requests.clear()
    child = ours.start_command() if point in BY_COMMAND else ours.start()
    kill_at(fault, child)
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
def test_killed_in_a_pull_request(hub: HubDouble, tmp_path: Path, step: str, applied: bool) -> None:
    ours = publisher(hub, tmp_path / "ours", shard_bytes=20_000, commit_files=5)
    for number in range(6):
        seal(ours.store, f"b{number}")
    merge = step == "the merge"
    text, passed = ("/merge", 0) if merge else ("/commit/refs/pr/1", 1)
    fault = hub.fault("POST", text, skip=passed, applied=applied, hold=True)
    child = ours.start()
    kill_at(fault, child)
    assert len(samples(hub.files(REPO))) == (36 if applied and merge else 0)
    ours.release()
    assert len(hub.commits(REPO)) == 1 and len(hub.repos[REPO].pull_requests) == 1
    assert hub.repos[REPO].tags == {"r0001": hub.repos[REPO].refs["main"]}
    assert len(samples(hub.files(REPO))) == 36


@pytest.mark.parametrize("left", [1, 0])
@pytest.mark.parametrize("applied", [False, True])
def test_killed_while_what_was_taken_down_goes_from_the_history(
    hub: HubDouble, tmp_path: Path, applied: bool, left: int
) -> None:
    ours = publisher(hub, tmp_path / "ours")
    seal(ours.store, "b1", ("one", "two"))
    ours.release()
    shard = hashlib.sha256(hub.files(REPO)["data/en/train/audio_000000.tar"]).hexdigest()
    take_down(ours.store, "b1", *("one", "two")[left:])
    fault = hub.fault("POST", "/lfs-files/batch", applied=applied, hold=True)
    child = ours.start()
    kill_at(fault, child)
    assert len(samples(hub.files(REPO))) == 3 * left
    assert hub.blobs.path(shard).exists() != applied
    ours.release()
    assert not hub.blobs.path(shard).exists()
    assert list(ours.store.list("takedowns/unpurged")) == []
    assert hub.repos[REPO].tags.keys() == {"r0001", "r0002"}
    assert hub.repos[REPO].tags["r0002"] == hub.repos[REPO].refs["main"]
    assert not ours.release().changed


def test_two_stores_release_at_once(hub: HubDouble, tmp_path: Path) -> None:
    one, other = publisher(hub, tmp_path / "one"), publisher(hub, tmp_path / "other")
    seal(one.store, "b1", audio_bytes=AUDIO)
    one.release()
    seal(one.store, "b2", audio_bytes=AUDIO)
    seal(other.store, "c1", audio_bytes=AUDIO)
    for child in [one.start_command(), other.start_command()]:
        ended(child)
    assert len(hub.commits(REPO)) == 3
    assert {key[:2] for key in samples(hub.files(REPO))} == {"b1", "b2", "c1"}
    assert len(hub.repos[REPO].tags) == 3


def test_one_store_released_by_two_at_once_is_released_once(hub: HubDouble, tmp_path: Path) -> None:
    ours = publisher(hub, tmp_path / "ours")
    seal(ours.store, "b1", audio_bytes=AUDIO)
    told = [ended(child) for child in [ours.start_command(), ours.start_command()]]
    assert sorted("nothing has changed" in t for t in told) == [False, True]
    assert len(hub.commits(REPO)) == 1
    assert len(samples(hub.files(REPO))) == 6


def there(top: Path) -> dict[str, bytes]:
    return {p.relative_to(top).as_posix(): p.read_bytes() for p in top.rglob("*") if p.is_file()}


def hidden(folder: Path) -> list[str]:
    return [p.name for p in folder.iterdir() if p.name.startswith(".")]


def release_held(pipe: Path, batch: str) -> None:
    """`podcast-assets release` that waits before it makes the shard of a batch: until a pipe is opened to write, and closed."""
    make = release_module.assemble_shard

    def assemble(store: Store, parts: Sequence[SealedPart], out: BinaryIO) -> AssembledShard:
        if any(p.batch == batch for p in parts):
            pipe.read_text()
        return make(store, parts, out)

    release_module.assemble_shard = assemble
    forked.run_command("release")


def start_held(place: Place, pipe: Path, batch: str, **settings: str) -> Child:
    os.mkfifo(pipe)
    return forked.start(release_held, pipe, batch, environment=place.environment(**settings), cwd=place.folder)


@contextlib.contextmanager
def held(child: Child, pipe: Path) -> Iterator[None]:
    """Wait until a process of `start_held` waits; it goes on after the block."""
    opened: list[int] = []

    def waits() -> bool:
        assert child.running, child.err
        with contextlib.suppress(OSError):  # ENXIO: nobody reads it yet
            opened.append(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
        return bool(opened)

    wait_for("the release that is held", waits, patience=PATIENCE, every=0.02)
    try:
        yield
    finally:
        os.close(opened[0])


def release_command(place: Place, **settings: str) -> str:
    """What `podcast-assets release` says."""
    return ended(forked.start_command("release", environment=place.environment(**settings), cwd=place.folder))


def test_killed_while_a_folder_is_released(place: Place) -> None:
    def files() -> dict[str, bytes]:
        return there(place.folder / "store" / "dataset")

    small = {"PODCAST_SHARD_BYTES": "20000"}
    seal(place.store, "b1")
    release_command(place, **small)
    before = files()
    seal(place.store, "b2")
    seal(place.store, "b3")
    pipe = place.folder / "pipe"
    child = start_held(place, pipe, "b3", **small)
    with held(child, pipe):
        assert list((place.folder / "store" / ".dataset.next").rglob("audio_000001.tar"))
        child.kill()
    assert files() == before
    release_command(place, **small)
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
    with held(first, pipe):
        second = forked.start_command("release", environment=places[1].environment(**how), cwd=places[1].folder)
        wait_for("the second", lambda: "waiting for another release" in second.err, patience=PATIENCE, every=0.02)
    for child in (first, second):
        ended(child)
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
    store, options = Store.at(tmp_path / "store"), release_options(Settings())
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
            release(store, BucketTarget(_Dying(place.root, left=[0] * writes)), options)
        except _PulledOut:
            release(store, BucketTarget(place), options)
            left = {e.key: place.read(e.key) for e in place.list("")}
            assert samples(left) == [] and not any(b"b1-one" in d for d in left.values()), f"{writes} writes"
            assert not any(p.startswith(("metadata/", "episodes/")) for p in left), f"{writes} writes"
        else:
            break
    assert writes > 5


def release_and_die_when_swapped() -> None:
    replace_with = FolderTarget.replace_with

    def swap_and_die(self: FolderTarget, new: Path) -> None:
        replace_with(self, new)
        os.kill(os.getpid(), signal.SIGKILL)

    FolderTarget.replace_with = swap_and_die  # type: ignore[method-assign]
    forked.run_command("release")


def test_killed_after_a_folder_was_swapped(place: Place) -> None:
    """Nothing of what was taken down is left beside it after the next release."""
    folder = place.folder / "store"
    seal(place.store, "b1")
    release_command(place)
    take_down(place.store, "b1", "one")
    killed = forked.start(release_and_die_when_swapped, environment=place.environment(), cwd=place.folder)
    assert killed.wait(PATIENCE) == -signal.SIGKILL
    assert len(samples(there(folder / "dataset"))) == 3
    assert "nothing has changed" in release_command(place)
    assert len(samples(there(folder / "dataset"))) == 3 and hidden(folder) == []
