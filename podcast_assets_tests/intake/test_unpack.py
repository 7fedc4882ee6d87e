"""Whatever a batch holds, what is good of it is taken, and the rest is named."""

import bz2
import datetime
import errno
import gzip
import io
import json
import lzma
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import zstandard

from podcast_assets.common.errors import BadInput
from podcast_assets.common.language_codes import language_code
from podcast_assets.intake import metadata
from podcast_assets.intake.arrivals import find_arrival
from podcast_assets.intake.episodes import batch_rows, recordings
from podcast_assets.intake.metadata import MetadataFile
from podcast_assets.intake.unpack import UnpackedBatch, read_batch_metadata, unpack
from podcast_assets.stages.ingest import Ingest
from podcast_assets.store.schema import FAILURES, RAW_AUDIO, empty_table
from podcast_assets.store.store import Store
from podcast_assets_tests.archives import tar, zipped

ZSTD = zstandard.ZstdCompressor(write_checksum=True)
MEMBERS = {"a.mp3": b"first" * 1000, "sub/b.m4a": b"second" * 1000, "notes.txt": b"words"}


def arrived(store: Store, name: str, data: bytes) -> UnpackedBatch:
    store.write(f"incoming/{name}", data)
    return unpack(store, find_arrival(store, name.split("/")[0].split(".")[0]))


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
    assert [store.read(f.stored.key) for f in found.files] == [MEMBERS["a.mp3"], MEMBERS["sub/b.m4a"]]
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
    joined = read_batch_metadata(found)
    assert joined.of("a.mp3")["title"] == "Eins"
    assert joined.files_without_metadata == ["sub/b.m4a"]
    assert joined.metadata_without_file == ["c"]
    assert joined.duplicate_ids == ["a"]


@pytest.mark.parametrize(
    ("name", "data"),
    [("m.csv", b"meta_id,title\n007,Bond\n"), ("m.jsonl", b'{"meta_id": "007", "title": "Bond"}\n')],
)
def test_metadata_formats_keep_ids_as_text(name: str, data: bytes) -> None:
    assert dict(metadata.open_metadata(name, data).rows(["007"])) == {"007": {"meta_id": "007", "title": "Bond"}}


def test_a_broken_metadata_file_is_a_failure_and_another_table_is_skipped(store: Store) -> None:
    found = arrived(store, "x.tar", tar({"a.mp3": b"x", "m.parquet": b"nope", "other.csv": b"a,b\n1,2\n"}))
    read_batch_metadata(found)
    assert list(found.broken) == ["m.parquet"]
    assert "without the column 'meta_id'" in found.skipped["other.csv"]


def test_every_file_is_accounted_for_and_the_same_bytes_are_one_episode(store: Store) -> None:
    found = arrived(store, "x.tar", tar({"b.mp3": b"same", "a.mp3": b"same", "c.mp3": b"other", "n.txt": b""}))
    recs = recordings(found.files)
    ingested = empty_table(Ingest.columns)
    rows = batch_rows(found, recs, metadata.join_metadata([], []), ingested, empty_table(FAILURES))
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
    ("tag", "code"),
    [
        *[
            ("en-US", "en"),
            ("DE", "de"),
            ("zh_Hans", "zh"),
            ("eng", "en"),
            ("ger", "de"),
            ("deu-AT", "de"),
            ("cn", "zh"),
        ],
        *[("English", "en"), (" Norwegian  Bokmål", "nb"), ("iw", "he"), ("fre", "fr"), ("chi", "zh")],
        *[("", None), (None, None), ("xx", None), ("zzz", None), ("und", None), ("en/de", None), ("unknown", None)],
    ],
)
def test_language_tags(tag: str | None, code: str | None) -> None:
    assert language_code(tag) == code


THREE = {f"{n}.mp3": n.encode() * 700 for n in "abc"}
"""Each member is a header of 512 bytes and data of 1,024."""
SECOND = 512 + 1024


def flipped(data: bytes) -> bytes:
    return data[: SECOND + 20] + bytes([data[SECOND + 20] ^ 4]) + data[SECOND + 21 :]


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["tar", "gz"])
@pytest.mark.parametrize(
    "damage",
    [
        flipped,
        lambda data: data[:SECOND],
        lambda data: data[: SECOND + 100],
        lambda data: data[:SECOND] + bytes(1024) + data[SECOND + 1024 :],
        lambda data: data + data,
    ],
    ids=["flipped bit in a header", "cut between members", "cut in a header", "hole", "concatenated"],
)
def test_a_tar_that_does_not_go_on_to_its_end_mark_says_so(
    store: Store, damage: Callable[[bytes], bytes], compress: Callable[[bytes], bytes]
) -> None:
    found = arrived(store, "x.tar", compress(damage(tar(THREE))))
    assert found.files[0].name == "a.mp3"
    assert list(found.broken) == ["x.tar"]
    assert "truncated or broken" in found.broken["x.tar"]


def test_a_flipped_bit_in_a_header_behind_a_long_name_is_found(store: Store) -> None:
    long = "n" * 150 + ".mp3"
    data = tar({"a.mp3": b"a" * 700, long: b"b"})
    at = data.rindex(b"n" * 100)
    found = arrived(store, "x.tar", data[:at] + b"m" + data[at + 1 :])
    assert ([f.name for f in found.files], list(found.broken)) == (["a.mp3"], ["x.tar"])


@pytest.mark.parametrize("form", ["ustar", "gnu", "pax", "v7"])
def test_what_gnu_tar_makes_is_whole(store: Store, tmp_path: Path, form: str) -> None:
    program = shutil.which("tar")
    if program is None:
        pytest.skip("tar is not installed")
    folder = tmp_path / "members"
    folder.mkdir()
    for name, data in THREE.items():
        (folder / name).write_bytes(data)
    made = tmp_path / "made.tar"
    subprocess.run([program, f"--format={form}", "-cf", made, "-C", folder, *THREE], check=True)
    found = arrived(store, "x.tar", gzip.compress(made.read_bytes()))
    assert ([f.name for f in found.files], found.broken) == (list(THREE), {})


@pytest.mark.parametrize("padding", [512, 1024, 1024 + 3 * 512], ids=["one block", "two", "two and padding"])
def test_an_end_mark_of_any_length_is_one(store: Store, padding: int) -> None:
    data = tar(THREE)[: 3 * SECOND] + bytes(padding)
    assert arrived(store, "x.tar", data).broken == {}


@pytest.mark.parametrize("compress", [bz2.compress, lzma.compress, gzip.compress, ZSTD.compress])
def test_broken_compressed_data_do_not_take_the_batch_down(store: Store, compress: Callable[[bytes], bytes]) -> None:
    data = bytearray(compress(tar({"a.mp3": bytes(n * n % 251 for n in range(200_000))})))
    half = len(data) // 2
    data[half : half + 40] = bytes(b ^ 0x55 for b in data[half : half + 40])
    store.write("incoming/x/good.mp3", b"good")
    found = arrived(store, "x/bad.tar.gz", bytes(data))
    assert "good.mp3" in [f.name for f in found.files]
    assert "bad.tar.gz" in found.broken


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, 97])
def test_a_member_of_a_zip_that_cannot_be_read_is_one_failure(store: Store, method: int) -> None:
    """97 is WavPack, which zipfile does not know."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.mp3", b"before")
        archive.writestr(
            "b.mp3", bytes(n * n % 251 for n in range(9000)), zipfile.ZIP_STORED if method == 97 else method
        )
        archive.writestr("c.mp3", b"after")
        info = archive.getinfo("b.mp3")
    data = bytearray(out.getvalue())
    if method == 97:
        central = data.rindex(b"PK\x01\x02", 0, data.rindex(b"b.mp3"))
        data[info.header_offset + 8] = data[central + 10] = method
    else:
        middle = info.header_offset + info.compress_size // 2
        data[middle : middle + 20] = bytes(b ^ 0x55 for b in data[middle : middle + 20])
    found = arrived(store, "x.zip", bytes(data))
    assert [f.name for f in found.files] == ["a.mp3", "c.mp3"]
    assert list(found.broken) == ["b.mp3"]
    assert "x.zip" in found.broken["b.mp3"]


def test_members_of_a_zip_whose_directory_leads_nowhere_are_broken(store: Store) -> None:
    data = bytearray(zipped(THREE))
    end = data.rindex(b"PK\x05\x06")
    data[end + 16 : end + 20] = (len(data) * 4).to_bytes(4, "little")  # where the directory starts
    assert list(arrived(store, "x.zip", bytes(data)).broken) == list(THREE)


@pytest.mark.parametrize("name", ["x.tar", "x.zip"])
def test_a_full_disk_is_no_broken_archive(store: Store, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Store, "put_original", full)
    with pytest.raises(OSError, match="No space left"):
        arrived(store, name, (tar if name.endswith("tar") else zipped)(THREE))


def test_trouble_with_reading_the_store_is_no_broken_archive(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> bytes:
        raise TimeoutError("the network is away")

    monkeypatch.setattr(tarfile.ExFileObject, "read", gone)
    with pytest.raises(TimeoutError):
        arrived(store, "x.tar", tar(THREE))


@pytest.mark.parametrize("ids", [[["a"]], [b"\xff\xfe"], [{"a": 1}]], ids=["list", "binary", "struct"])
def test_odd_ids_are_the_fault_of_their_file(store: Store, ids: list[object]) -> None:
    buffer = io.BytesIO()
    pl.DataFrame({"meta_id": ids}).write_parquet(buffer)
    found = arrived(store, "x.tar", tar({"a.mp3": b"x", "m.parquet": buffer.getvalue()}))
    read_batch_metadata(found)
    assert [f.name for f in found.files] == ["a.mp3"]
    assert "m.parquet" in found.broken["m.parquet"]
    with pytest.raises(BadInput):
        metadata.open_metadata("m.parquet", buffer.getvalue())


def rows_of(name: str, **titles: str) -> MetadataFile:
    table = pl.DataFrame({"meta_id": list(titles), "title": list(titles.values())})
    return metadata.open_metadata(name, table.write_csv().encode())


def test_metadata_in_a_folder_are_about_that_folder() -> None:
    sources = ["show1/ep1.mp3", "show2/s1/ep1.mp3", "show3/ep1.mp3"]
    joined = metadata.join_metadata(sources, [rows_of("show1/m.csv", ep1="One"), rows_of("show2/m.csv", ep1="Two")])
    assert [joined.of(s).get("title") for s in sources] == ["One", "Two", None]
    assert joined.files_without_metadata == ["show3/ep1.mp3"]
    assert (joined.duplicate_ids, joined.ambiguous, joined.metadata_without_file) == ([], [], [])


def test_the_nearest_metadata_win_and_those_at_the_top_cover_all() -> None:
    joined = metadata.join_metadata(
        ["show1/a.mp3", "show2/b.mp3"], [rows_of("x.meta.csv", a="Top", b="Far"), rows_of("show1/m.csv", a="Near")]
    )
    assert (joined.of("show1/a.mp3")["title"], joined.of("show2/b.mp3")["title"]) == ("Near", "Far")
    assert joined.duplicate_ids == []


def test_a_row_that_fits_two_files_is_given_to_none_and_said() -> None:
    sources = ["show1/ep1.mp3", "show2/ep1.mp3", "show2/ep2.mp3"]
    joined = metadata.join_metadata(sources, [rows_of("m.csv", ep1="Which?", ep2="Two")])
    assert [joined.of(s).get("title") for s in sources] == [None, None, "Two"]
    assert (joined.ambiguous, joined.duplicate_ids) == (["ep1"], ["ep1"])


def test_metadata_values_as_text_and_json() -> None:
    nan = float("nan")
    assert metadata.first_text({"title": nan, "episode_title": "Real"}, "title", "episode_title") == "Real"
    assert metadata.first_text({"title": nan}, "title") is None
    row = {
        "day": datetime.date(2024, 2, 1),
        "at": datetime.datetime(2024, 2, 1, 8, tzinfo=datetime.UTC),
        "deep": [{"x": float("inf"), "y": 1.5}],
        "nan": nan,
        "raw": b"\xff",
        "utf8": "ä".encode(),
    }
    text = metadata.to_json(row)
    assert text is not None
    assert json.loads(text, parse_constant=pytest.fail) == {
        "day": "2024-02-01",
        "at": "2024-02-01T08:00:00+00:00",
        "deep": [{"x": None, "y": 1.5}],
        "nan": None,
        "raw": "/w==",
        "utf8": "ä",
    }
    assert metadata.to_json({}) is None


def test_metadata_in_a_folder_of_its_own_are_for_the_recordings_beside_it(store: Store) -> None:
    table = b"meta_id,title\na,Eins\n"
    found = arrived(store, "x.tar", tar({"show/audio/a.mp3": b"x", "show/metadata/m.csv": table, "other/a.mp3": b"y"}))
    joined = read_batch_metadata(found)
    assert joined.of("show/audio/a.mp3")["title"] == "Eins"
    assert joined.of("other/a.mp3") == {}
