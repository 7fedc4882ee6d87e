"""Tars of our own making: what others read in them, and where they are broken."""

import io
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from podcast_assets.shards.ustar import END, MAX_NAME, TAR_BLOCK, BrokenTar, read_members
from podcast_assets_tests.shards.in_memory import member_bytes

FILES = {
    "a.json": b"{}",
    "a.flac": bytes(range(256)) * 5,
    "empty.json": b"",
    "b" * 95 + ".flac": b"x" * TAR_BLOCK,
    "ü.txt": b"u",
}


def tar_of(files: dict[str, bytes]) -> bytes:
    return b"".join([*(member_bytes(name, data) for name, data in files.items()), END])


def test_tarfile_reads_the_same_names_bytes_and_places() -> None:
    data = tar_of(FILES)
    with tarfile.open(fileobj=io.BytesIO(data), format=tarfile.USTAR_FORMAT, encoding="utf-8") as tar:
        infos = tar.getmembers()
        assert {i.name: tar.extractfile(i).read() for i in infos} == FILES  # type: ignore[union-attr]
    assert {(i.mtime, i.uid, i.gid, i.uname, i.gname, i.mode) for i in infos} == {(0, 0, 0, "", "", 0o444)}
    found = list(read_members(io.BytesIO(data)))
    assert [(m.name, m.header_offset, m.data_offset, m.size) for m in found] == [
        (i.name, i.offset, i.offset_data, i.size) for i in infos
    ]
    assert [data[m.data_offset : m.data_offset + m.size] for m in found] == list(FILES.values())


@pytest.mark.skipif(shutil.which("tar") is None, reason="there is no tar")
def test_tar_unpacks_it_without_a_word(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(tar_of(FILES))
    done = subprocess.run(["tar", "-xf", "x.tar"], cwd=tmp_path, capture_output=True, check=True)
    assert done.stderr == b""
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.name != "x.tar"} == FILES


def test_what_tarfile_writes_is_walked_too() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in {**FILES, "folder/" + "c" * 99: b"long"}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    assert [m.name for m in read_members(buffer)] == [*FILES, "folder/" + "c" * 99]


def test_cut_off_at_any_block_is_found() -> None:
    data = tar_of(FILES)
    for length in [*range(0, len(data), TAR_BLOCK), 1, TAR_BLOCK + 1, len(data) - 1]:
        with pytest.raises(BrokenTar):
            list(read_members(io.BytesIO(data[:length])))


def test_a_flipped_bit_in_a_header_is_found() -> None:
    data = bytearray(tar_of(FILES))
    for place in (0, 110, 130, 150, 156, 260, 400):
        harmed = data.copy()
        harmed[place] ^= 1
        with pytest.raises(BrokenTar):
            list(read_members(io.BytesIO(harmed)))


def test_what_follows_the_end_is_found() -> None:
    data = tar_of(FILES)
    with pytest.raises(BrokenTar, match="after the end of the tar"):
        list(read_members(io.BytesIO(data + data)))
    assert len(list(read_members(io.BytesIO(data + bytes(9 * TAR_BLOCK))))) == len(FILES)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.DIRTYPE, tarfile.XHDTYPE])
def test_links_folders_and_extensions_are_refused(kind: bytes) -> None:
    info = tarfile.TarInfo("a.json")
    info.type = kind
    with pytest.raises(BrokenTar, match="not a regular file"):
        list(read_members(io.BytesIO(info.tobuf(tarfile.USTAR_FORMAT) + END)))


@pytest.mark.parametrize("name", ["", "a" * (MAX_NAME + 1), "a\0b"])
def test_names_that_do_not_fit_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be a member's name"):
        member_bytes(name, b"")
