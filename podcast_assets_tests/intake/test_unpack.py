"""Whatever a batch holds, what is good of it is taken, and the rest is named."""

import gzip
import io
import lzma
import tarfile
import zipfile
from pathlib import Path

import polars as pl
import pytest
import zstandard

from podcast_assets.intake import metadata
from podcast_assets.intake.arrivals import find_arrival
from podcast_assets.intake.episodes import batch_rows, language_code, recordings
from podcast_assets.intake.unpack import Unpacked, unpack
from podcast_assets.schema import FAILURES, RAW_AUDIO, empty
from podcast_assets.stages.ingest import Ingest
from podcast_assets.store import Store

MEMBERS = {"a.mp3": b"first" * 1000, "sub/b.m4a": b"second" * 1000, "notes.txt": b"words"}


def tar(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def arrived(store: Store, name: str, data: bytes) -> Unpacked:
    store.write(f"incoming/{name}", data)
    return unpack(store, find_arrival(store, name.split("/")[0].split(".")[0]))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.at(tmp_path)


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("x.tar", tar),
        ("x.tar.gz", lambda m: gzip.compress(tar(m))),
        ("x.tar.xz", lambda m: lzma.compress(tar(m))),
        ("x.tar.zst", lambda m: zstandard.compress(tar(m))),
        ("x.zip", zipped),
        ("x.tar", lambda m: gzip.compress(tar(m))),
    ],
    ids=["tar", "gz", "xz", "zst", "zip", "gz that is called tar"],
)
def test_archives_are_told_by_their_first_bytes(store: Store, name: str, pack) -> None:
    found = arrived(store, name, pack(MEMBERS))
    assert [f.name for f in found.files] == ["a.mp3", "sub/b.m4a"]
    assert [store.path(f.stored.key).read_bytes() for f in found.files] == [MEMBERS["a.mp3"], MEMBERS["sub/b.m4a"]]
    assert list(found.skipped) == ["notes.txt"]
    assert found.broken == {}


def test_an_archive_inside_a_folder_is_opened_too(store: Store) -> None:
    store.write("incoming/x/loose.mp3", b"loose")
    found = arrived(store, "x/packed.tar", tar(MEMBERS))
    assert [f.name for f in found.files] == ["loose.mp3", "packed.tar/a.mp3", "packed.tar/sub/b.m4a"]


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["tar", "gz"])
def test_a_truncated_archive_gives_what_was_whole_and_says_so(store: Store, compress) -> None:
    data = tar({"a.mp3": b"first" * 1000, "b.mp3": bytes(range(256)) * 2000})
    whole = compress(data)
    found = arrived(store, "x.tar", whole[: len(whole) - len(whole) // 4])
    assert [f.name for f in found.files] == ["a.mp3"]
    assert "truncated or broken" in found.broken["x.tar"]
    assert "cut off" in found.broken["b.mp3"]


def test_members_that_lead_out_are_refused_one_by_one(store: Store) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name in ("../evil.mp3", "/etc/evil.mp3", "good.mp3"):
            info = tarfile.TarInfo(name)
            info.size = 3
            archive.addfile(info, io.BytesIO(b"abc"))
        link = tarfile.TarInfo("link.mp3")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        device = tarfile.TarInfo("device.mp3")
        device.type = tarfile.CHRTYPE
        archive.addfile(device)
    found = arrived(store, "x.tar", out.getvalue())
    assert [f.name for f in found.files] == ["good.mp3"]
    assert sorted(found.skipped) == ["../evil.mp3", "/etc/evil.mp3", "device.mp3", "link.mp3"]


def test_something_that_only_calls_itself_an_archive(store: Store) -> None:
    found = arrived(store, "x.tar", b"this is no archive at all")
    assert (found.files, list(found.broken)) == ([], ["x.tar"])
    assert "not an archive" in found.broken["x.tar"]


def test_metadata_join_says_what_did_not_fit(store: Store) -> None:
    rows = pl.DataFrame({"meta_id": ["a", "c", "a"], "title": ["Eins", "Drei", "Again"], "n": [1, 2, 3]})
    buffer = io.BytesIO()
    rows.write_parquet(buffer)
    found = arrived(store, "x.tar", tar(MEMBERS | {"metadata.parquet": buffer.getvalue()}))
    joined = metadata.join([f.name for f in found.files], found.metadata)
    assert joined.of("a.mp3")["title"] == "Eins"
    assert joined.files_without_metadata == ["b"]
    assert joined.metadata_without_file == ["c"]
    assert joined.duplicate_ids == ["a"]


@pytest.mark.parametrize(
    ("name", "data"),
    [("m.csv", b"meta_id,title\n007,Bond\n"), ("m.jsonl", b'{"meta_id": "007", "title": "Bond"}\n')],
)
def test_metadata_formats_keep_ids_as_text(name: str, data: bytes) -> None:
    assert metadata.read_metadata(name, data).row(0) == ("007", "Bond")


def test_a_broken_metadata_file_is_a_failure_and_another_table_is_skipped(store: Store) -> None:
    found = arrived(store, "x.tar", tar({"a.mp3": b"x", "m.parquet": b"nope", "other.csv": b"a,b\n1,2\n"}))
    assert list(found.broken) == ["m.parquet"]
    assert "no column 'meta_id'" in found.skipped["other.csv"] or "meta_id" in found.skipped["other.csv"]


def test_every_file_is_accounted_for_and_the_same_bytes_are_one_episode(store: Store) -> None:
    found = arrived(store, "x.tar", tar({"b.mp3": b"same", "a.mp3": b"same", "c.mp3": b"other", "n.txt": b""}))
    recs = recordings(found.files)
    ingested = empty(Ingest.columns)
    rows = batch_rows(found, recs, metadata.join([], []), ingested, empty(FAILURES))
    assert rows.columns == list(RAW_AUDIO)
    assert rows.select("source", "status").rows() == [
        ("a.mp3", "failed"),
        ("b.mp3", "skipped"),
        ("c.mp3", "failed"),
        ("n.txt", "skipped"),
    ]
    assert rows["duplicate_of"][1] == rows["episode_id"][0]
    assert rows["episode_id"].n_unique() == 4


@pytest.mark.parametrize(
    ("tag", "code"), [("en-US", "en"), ("DE", "de"), ("zh_Hans", "zh"), ("", None), (None, None), ("english", None)]
)
def test_language_tags(tag: str | None, code: str | None) -> None:
    assert language_code(tag) == code
