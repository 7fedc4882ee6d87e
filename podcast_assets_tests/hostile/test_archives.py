"""Archives made to do harm, and archives that were damaged: what is good is taken, the rest is named, nothing else is touched."""

import bz2
import functools
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from podcast_assets.intake.archives import limits
from podcast_assets.intake.archives.limits import ArchiveLimits
from podcast_assets.intake.arrivals import find_arrival
from podcast_assets.intake.unpack import UnpackedBatch, unpack
from podcast_assets.store.store import Store
from podcast_assets_tests.archives import tar, zipped
from podcast_assets_tests.hostile.mutations import mutated

pytestmark = pytest.mark.hostile

ZSTD = zstandard.ZstdCompressor(write_checksum=True)
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "tar": bytes,
    "tar.gz": gzip.compress,
    "tar.xz": functools.partial(lzma.compress, preset=0),
    "tar.bz2": bz2.compress,
    "tar.zst": ZSTD.compress,
}
NOISE = bytes(n * n % 251 for n in range(9_000))
GOOD = {"a.mp3": b"first" + NOISE, "deep/er/b.m4a": b"second" + NOISE, "c.ogg": b"third" + NOISE}


def arrived(store: Store, name: str, data: bytes, bounds: ArchiveLimits = limits.GENEROUS) -> UnpackedBatch:
    store.write(f"incoming/{name}", data)
    found = unpack(store, find_arrival(store, name.split("/")[0].split(".")[0]), limits=bounds)
    root = Path(str(store.root))
    assert {p.name for p in root.parent.iterdir()} == {root.name}, "something lies beside the store"
    assert {p.name for p in root.iterdir()} <= {"incoming", "audio", "scratch"}
    assert not list(root.glob("scratch/*")), "something was left behind"
    assert not [p for p in root.rglob("*") if p.is_symlink()]
    return found


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.at(tmp_path / "store")


def odd(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize("packed", PACKERS)
def test_hostile_members_are_refused_one_by_one(store: Store, packed: str) -> None:
    bad = {
        "../up.mp3": "leads out",
        "/etc/absolute.mp3": "leads out",
        "deep/../../up.mp3": "leads out",
        "C:\\drive.mp3": "leads out",
        "..\\windows.mp3": "leads out",
        "n" * 5_000 + ".mp3": "5,004 characters",
    }
    special = {
        "link.mp3": tarfile.SYMTYPE,
        "hard.mp3": tarfile.LNKTYPE,
        "char.mp3": tarfile.CHRTYPE,
        "block.mp3": tarfile.BLKTYPE,
        "pipe.mp3": tarfile.FIFOTYPE,
    }
    infos = [odd(name, kind, "/etc/passwd") for name, kind in special.items()]
    data = PACKERS[packed](tar(dict.fromkeys(bad, b"harm") | GOOD, *infos, form=tarfile.GNU_FORMAT))
    found = arrived(store, f"x.{packed}", data)
    assert {f.name: store.path(f.stored.key).read_bytes() for f in found.files} == GOOD
    assert found.broken == {}
    assert len(found.skipped) == len(bad) + len(special)
    reasons = list(found.skipped.values())
    for why in {*bad.values(), "a link or a device"}:
        assert any(why in reason for reason in reasons), why
    assert all(len(name) <= 300 for name in found.skipped)


def test_the_first_of_several_members_of_a_name_is_taken(store: Store) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for data in (b"one", b"two!", b"three"):
            info = tarfile.TarInfo("a.mp3")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    found = arrived(store, "x.tar", out.getvalue())
    assert [f.stored.bytes for f in found.files] == [3]
    assert list(found.skipped) == ["a.mp3", "a.mp3 (2)"]
    assert "another file of the same name was taken already" in found.skipped["a.mp3"]


@pytest.mark.parametrize("packed", ["tar.gz", "tar.xz", "tar.bz2", "tar.zst", "zip"])
def test_a_bomb_by_ratio_stops(store: Store, packed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FREE_BYTES", 1 << 20)
    members = {"a.mp3": NOISE, "bomb.mp3": bytes(60 << 20), "c.mp3": NOISE}
    data = zipped(members) if packed == "zip" else PACKERS[packed](tar(members))
    found = arrived(store, f"x.{packed}", data, ArchiveLimits(ratio=20))
    assert [f.name for f in found.files] == ["a.mp3"]
    (reason,) = found.broken.values()
    assert "more than 20 times its size" in reason
    assert "PODCAST_ARCHIVE_RATIO" in reason


def test_what_shrinks_well_and_is_no_bomb_is_taken(store: Store) -> None:
    found = arrived(store, "x.tar.gz", gzip.compress(tar({"silence.wav": bytes(30 << 20)})))
    assert [f.stored.bytes for f in found.files] == [30 << 20]


@pytest.mark.parametrize("packed", ["tar", "zip"])
def test_a_bomb_by_count_stops(store: Store, packed: str) -> None:
    members = {f"{n}.mp3": b"%d" % n for n in range(40)}
    found = arrived(store, f"x.{packed}", zipped(members) if packed == "zip" else tar(members), ArchiveLimits(files=25))
    assert len(found.files) == 25
    assert "more than 25 entries" in found.broken[f"x.{packed}"]
    assert "PODCAST_ARCHIVE_FILES" in found.broken[f"x.{packed}"]


def test_folders_and_links_count_too(store: Store) -> None:
    infos = [odd(f"d{n}", tarfile.DIRTYPE) for n in range(20)] + [odd(f"l{n}", tarfile.SYMTYPE, "x") for n in range(20)]
    found = arrived(store, "x.tar", tar(GOOD, *infos), ArchiveLimits(files=30))
    assert found.files == []
    assert "more than 30 entries" in found.broken["x.tar"]


def test_a_directory_of_a_zip_too_large_for_memory_is_not_read(store: Store) -> None:
    data = bytearray(zipped(GOOD) + bytes(40_000))
    end = data.rindex(b"PK\5\6")
    data[end + 12 : end + 16] = struct.pack("<L", 3_000_000)
    found = arrived(store, "x.zip", bytes(data[: end + 22]), ArchiveLimits(files=100))
    assert "its directory has 3,000,000 bytes" in found.broken["x.zip"]


def test_a_sparse_member_whose_holes_are_of_any_size(store: Store) -> None:
    info = odd("sparse.mp3", tarfile.GNUTYPE_SPARSE)
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    block[483:495] = b"77777777777\0"  # its size when it is whole: 8 GiB
    block[148:156] = b"        "
    block[148:156] = b"%06o\0 " % sum(block)
    found = arrived(store, "x.tar", bytes(block) + tar(GOOD))
    assert [f.name for f in found.files] == list(GOOD)
    assert "a sparse file" in found.skipped["sparse.mp3"]


@pytest.mark.parametrize(
    ("kind", "size"),
    [(tarfile.XHDTYPE, 1 << 33), (tarfile.XGLTYPE, 1 << 20), (tarfile.GNUTYPE_LONGNAME, 1 << 33)],
    ids=["extended", "global", "long name"],
)
def test_a_header_too_large_for_memory_is_not_read(store: Store, kind: bytes, size: int) -> None:
    info = odd("x", kind)
    info.size = size
    huge = info.tobuf(tarfile.GNU_FORMAT)
    before = tar({"a.mp3": NOISE})[: 512 + 9_216]
    found = arrived(store, "x.tar.gz", gzip.compress(before + huge + bytes(1 << 20)))
    assert [f.name for f in found.files] == ["a.mp3"]
    assert f"a header of {size:,} bytes" in found.broken["x.tar.gz"]


def test_headers_without_end_are_given_up(store: Store) -> None:
    info = odd("x", tarfile.XHDTYPE)
    record = b"30 comment=" + b"x" * 18 + b"\n"
    info.size = len(record) * 2_000
    block = info.tobuf(tarfile.GNU_FORMAT) + record * 2_000 + bytes(-info.size % 512)
    found = arrived(store, "x.tar.gz", gzip.compress(block * 60 + tar(GOOD)))
    assert "MiB of headers" in found.broken["x.tar.gz"]


@pytest.mark.parametrize("inner", ["tar", "tar.gz", "zip"])
def test_an_archive_in_an_archive_is_opened_and_one_in_that_is_not(store: Store, inner: str) -> None:
    def pack(members: dict[str, bytes]) -> bytes:
        return zipped(members) if inner == "zip" else PACKERS[inner](tar(members))

    third = pack({"deepest.mp3": b"deepest"})
    second = pack({"deep.mp3": b"deep", f"third.{inner}": third})
    found = arrived(store, "x.tar", tar({"a.mp3": b"top", f"second.{inner}": second, "z.mp3": b"after"}))
    assert [f.name for f in found.files] == ["a.mp3", f"second.{inner}/deep.mp3", "z.mp3"]
    assert "is not unpacked" in found.skipped[f"second.{inner}/third.{inner}"]


def test_a_bomb_in_an_archive_in_an_archive_counts_to_the_outer_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "FREE_BYTES", 1 << 20)
    inner = zipped({"bomb.mp3": bytes(60 << 20)})
    found = arrived(store, "x.tar", tar({"a.mp3": NOISE, "in.zip": inner, "z.mp3": NOISE}), ArchiveLimits(ratio=20))
    assert [f.name for f in found.files] == ["a.mp3"]
    assert "more than 20 times its size" in found.broken["x.tar"]


def test_a_broken_archive_in_an_archive_takes_nothing_down(store: Store) -> None:
    found = arrived(store, "x.tar", tar({"in.zip": zipped(GOOD)[:-40], "bad.tar": b"no archive", "z.mp3": NOISE}))
    assert [f.name for f in found.files] == [*(f"in.zip/{name}" for name in GOOD), "z.mp3"]
    assert sorted(found.broken) == ["bad.tar", "in.zip"]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_a_truncated_zip_gives_what_was_whole_and_says_so(store: Store, method: int) -> None:
    whole = zipped(GOOD, method)
    cut = whole[: whole.index(b"third" if method == zipfile.ZIP_STORED else b"c.ogg") + 30]
    found = arrived(store, "x.zip", cut)
    assert [f.name for f in found.files] == ["a.mp3", "deep/er/b.m4a"]
    assert "truncated or broken" in found.broken["x.zip"]
    assert "c.ogg" in found.broken


def test_a_zip_without_its_directory_gives_all_and_says_so(store: Store) -> None:
    whole = zipped(GOOD)
    found = arrived(store, "x.zip", whole[: whole.index(b"PK\1\2") + 10])
    assert [f.name for f in found.files] == list(GOOD)
    assert "its directory is missing or unreadable" in found.broken["x.zip"]


def test_a_name_in_a_zip_that_is_not_what_it_says_is_guessed(store: Store) -> None:
    data = zipped({"äb.mp3": b"bad"} | GOOD).replace("äb.mp3".encode(), b"\xff\xfeb.mp3")
    found = arrived(store, "x.zip", data)
    assert [f.name for f in found.files][1:] == list(GOOD)
    assert found.files[0].name.endswith("b.mp3")
    assert found.broken == found.skipped == {}


def test_links_and_encrypted_members_of_a_zip_are_refused(store: Store) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        link = zipfile.ZipInfo("link.mp3")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("../up.mp3", b"harm")
        archive.writestr("good.mp3", b"good")
        archive.writestr("secret.mp3", b"secret")
    data = bytearray(out.getvalue())
    at = data.rindex(b"secret.mp3") - 46
    data[at + 8] |= 1
    found = arrived(store, "x.zip", bytes(data))
    assert [f.name for f in found.files] == ["good.mp3"]
    assert found.skipped == {
        "link.mp3": "a link or a device, not a file",
        "../up.mp3": "its name leads out of the archive",
        "secret.mp3": "encrypted",
    }


def test_many_members_of_one_name_come_to_an_end(store: Store) -> None:
    block = odd("same.mp3", tarfile.SYMTYPE, "x").tobuf(tarfile.GNU_FORMAT)
    found = arrived(store, "x.tar", block * 20_000 + bytes(1024))
    assert len(found.skipped) == 20_000


@pytest.mark.parametrize("packed", [*PACKERS, "zip"])
def test_mutated_archives_are_taken_as_far_as_they_go(store: Store, packed: str) -> None:
    """17 of each of six formats: with those of metadata, more than 200 files."""
    whole = zipped(GOOD) if packed == "zip" else PACKERS[packed](tar(GOOD))
    named = unharmed = 0
    for seed in range(17):
        data = mutated(whole, seed * 6 + [*PACKERS, "zip"].index(packed))
        found = arrived(store, f"m{seed}.{packed}", data)
        taken = {f.name: store.path(f.stored.key).read_bytes() for f in found.files}
        lost = {n for n in GOOD if taken.get(n) != GOOD[n]}
        told = bool(found.broken or found.skipped)
        named += told
        unharmed += not lost
        # a plain tar has no checksum of its members' bytes: they may be others, but none goes missing unseen
        assert told or len(taken) == len(GOOD), f"seed {seed}: {sorted(lost)} went missing"
        if packed not in ("tar", "tar.zst", "tar.xz"):
            assert told or not lost, f"seed {seed}: other bytes, and nothing was said"
    assert named, "no damage was found"


NAMES = st.text(st.characters(codec="utf-8"), max_size=60).map(lambda s: s + ".mp3")


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(names=st.lists(NAMES, max_size=6, unique=True), zip_it=st.booleans())
def test_whatever_members_are_called_each_is_accounted_for(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], zip_it: bool
) -> None:
    store = Store.at(tmp_path_factory.mktemp("names") / "store")
    members = {name: b"%d" % at for at, name in enumerate(names)}
    found = arrived(store, "x.zip" if zip_it else "x.tar", zipped(members) if zip_it else tar(members))
    assert len(found.files) + len(found.skipped) + len(found.broken) >= len(names)
    for file in found.files:
        parts = file.name.split("/")
        assert ".." not in parts
        assert not file.name.startswith("/")
        assert "\0" not in file.name
