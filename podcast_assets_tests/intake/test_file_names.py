"""Files under any name: bytes decide what is audio, and names match in every encoding and form."""

import io
import tarfile
import unicodedata
import zipfile
import zlib
from pathlib import Path
from typing import Literal

import av
import numpy as np
import polars as pl
import pytest

from podcast_assets.audio.encode import encode
from podcast_assets.intake.archives.name_encodings import decode_names
from podcast_assets.intake.arrivals import find_arrival
from podcast_assets.intake.episode_lookup import has_source
from podcast_assets.intake.episodes import recordings
from podcast_assets.intake.metadata import join_metadata
from podcast_assets.intake.unpack import UnpackedBatch, read_batch_metadata, unpack
from podcast_assets.store.store import Store
from podcast_assets_tests.archives import tar, zipped

SOUND = (0.3 * np.sin(np.arange(16_000) / 20)).astype(np.float32)
MP3, FLAC = encode(SOUND, 16_000, "mp3"), encode(SOUND, 16_000)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.at(tmp_path)


def arrived(store: Store, name: str, data: bytes) -> UnpackedBatch:
    store.write(f"incoming/{name}", data)
    return unpack(store, find_arrival(store, name.split("/")[0].split(".")[0]))


def contained(container: str, codec: str, **options: str) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container, options=options) as out:
        stream = out.add_stream(codec, rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray((SOUND * 32767).astype(np.int16).reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = 16_000
        out.mux(stream.encode(frame))  # type: ignore[arg-type]
        out.mux(stream.encode(None))  # type: ignore[arg-type]
    return buffer.getvalue()


# -- what is audio ---------------------------------------------------------------------------------------------------


def test_bytes_decide_where_the_name_says_nothing(store: Store) -> None:
    audio = {
        "talk": MP3,
        "talk.mp3?token=a.b&x=1": MP3,
        "talk.bin": FLAC,
        "Episode 1. The beginning": encode(SOUND, 16_000, "opus"),
        "1.w65": contained("w64", "pcm_s16le"),
        "2.camera": contained("mpegts", "aac", mpegts_m2ts_mode="1"),
        "3.t": contained("tta", "tta"),
        "4.a": contained("adts", "aac"),
        "cover.x": b"ID3\3\0\0" + bytes([0, 0x7F, 0x7F, 0x7F]) + bytes(0x1FFFFF) + MP3,
    }
    other = {
        "empty": b"",
        "words": b"only words " * 1000,
        "noise.dat": np.random.default_rng(0).bytes(300_000),
        "picture": b"\x89PNG\r\n\x1a\n" + bytes(100),
        "page": b"<!DOCTYPE html><html></html>",
        "silent film": contained_video(),
    }
    found = arrived(store, "x.tar", tar(audio | other))
    assert {f.name: store.read(f.stored.key) for f in found.files} == audio
    assert found.skipped.keys() == other.keys()
    assert all("by its content: " in reason for reason in found.skipped.values())
    assert "a picture" in found.skipped["picture"]
    assert "no audio track" in found.skipped["silent film"]
    assert found.broken == {}


def contained_video() -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as out:
        stream = out.add_stream("mpeg4", rate=5, width=64, height=48, pix_fmt="yuv420p")
        for _ in range(5):
            image = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
            out.mux(stream.encode(image))  # type: ignore[arg-type]
        out.mux(stream.encode(None))  # type: ignore[arg-type]
    return buffer.getvalue()


SUFFIXES = "w64 aifc bwf wave spx m2ts 3g2 mpga tta m4r f4a snd MP3 mp3?token=1 mp3#t=10"


@pytest.mark.parametrize("suffix", SUFFIXES.split(" "))
def test_files_with_suffixes_of_audio_are_taken_unread(store: Store, suffix: str) -> None:
    found = arrived(store, f"x/a.{suffix}", b"whatever")
    assert [f.name for f in found.files] == [f"a.{suffix}"]
    (recording,) = recordings(found.files)
    assert recording.episode_id.startswith("a-")
    assert "?" not in recording.file.stored.key
    assert join_metadata([f"a.{suffix}"], []).files_without_metadata == [f"a.{suffix}"]


NAMES = "notes.txt cover.JPG a.pdf Thumbs.db __MACOSX/a.mp3 .DS_Store x/._a.mp3 @eaDir/a.mp3 s.srt list.m3u8 a.md5"


@pytest.mark.parametrize("name", NAMES.split())
def test_what_is_certainly_something_else_is_skipped_by_its_name(store: Store, name: str) -> None:
    found = arrived(store, "x.zip", zipped({name: MP3}))
    assert (found.files, list(found.skipped)) == ([], [name])


# -- which name ------------------------------------------------------------------------------------------------------

Form = Literal["NFC", "NFD"]
CAFE = "Café Ångström.mp3"


@pytest.mark.parametrize(("of_file", "of_row"), [("NFD", "NFC"), ("NFC", "NFD")])
@pytest.mark.parametrize("table", ["m.csv", "m.jsonl", "m.parquet"])
def test_names_and_ids_match_in_either_form(store: Store, of_file: Form, of_row: Form, table: str) -> None:
    name, row = unicodedata.normalize(of_file, f"Só/{CAFE}"), unicodedata.normalize(of_row, CAFE[:-4])
    frame, buffer = pl.DataFrame({"meta_id": [row], "title": ["Ein Titel"]}), io.BytesIO()
    {"csv": frame.write_csv, "jsonl": frame.write_ndjson, "parquet": frame.write_parquet}[table[2:]](buffer)
    folder = unicodedata.normalize(of_row, "Só")
    found = arrived(store, "x.tar", tar({name: MP3, f"{folder}/{table}": buffer.getvalue()}))
    joined = read_batch_metadata(found)
    assert joined.of(name)["title"] == "Ein Titel"
    assert (joined.metadata_without_file, joined.files_without_metadata) == ([], [])
    assert [f.name for f in found.files] == [name], "the name itself is kept"
    other = unicodedata.normalize(of_row, name)
    assert pl.DataFrame({"source": [name]}).filter(has_source(other)).height == 1


def unflagged(names: dict[str, bytes], extra: bytes = b"") -> bytes:
    """A zip whose names are these bytes, without the flag of UTF-8."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for i, raw in enumerate(names.values()):
            info = zipfile.ZipInfo("%" * (len(raw) - 1) + str(i))
            info.extra = extra
            archive.writestr(info, MP3 + bytes([i]))
    data = buffer.getvalue()
    for i, raw in enumerate(names.values()):
        data = data.replace(b"%" * (len(raw) - 1) + str(i).encode(), raw)
    return data


ENCODED = {
    "utf-8": ["Größe ü.mp3", "第1話.mp3"],
    "cp437": ["Café Olé.mp3", "Größe.mp3"],
    "cp932": ["第1話 はじめに.mp3", "日本語の名前.mp3"],
    "gbk": ["第一期 开始.mp3", "中文播客.mp3"],
    "cp866": ["Выпуск 1 - Привет.mp3", "подкаст.mp3"],
    "cp1252": ["Café.mp3", "Gespräch.mp3"],
}


@pytest.mark.parametrize("encoding", ENCODED)
def test_names_in_zips_are_those_that_were_packed(store: Store, encoding: str) -> None:
    names = {name: name.encode(encoding) for name in ENCODED[encoding]}
    found = arrived(store, "x.zip", unflagged(names))
    assert [f.name for f in found.files] == list(names)
    assert found.broken == found.skipped == {}


def test_a_unicode_path_in_a_zip_is_the_name(store: Store) -> None:
    raw, path = b"_____.mp3\x81", "播客.mp3".encode()
    field = b"\1" + zlib.crc32(raw).to_bytes(4, "little") + path
    extra = (0x7075).to_bytes(2, "little") + len(field).to_bytes(2, "little") + field
    found = arrived(store, "x.zip", unflagged({"": raw}, extra))
    assert [f.name for f in found.files] == ["播客.mp3"]


@pytest.mark.parametrize("encoding", ["utf-8", "cp932", "cp866", "cp1252"])
def test_names_in_tars_are_those_that_were_packed(store: Store, encoding: str) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT, encoding=encoding) as archive:
        for name in ENCODED[encoding]:
            info = tarfile.TarInfo(name)
            info.size = len(MP3)
            archive.addfile(info, io.BytesIO(MP3))
    found = arrived(store, "x.tar", buffer.getvalue())
    assert [f.name for f in found.files] == ENCODED[encoding]


def test_any_bytes_have_a_name() -> None:
    generator = np.random.default_rng(0)
    for _ in range(100):
        raw = generator.bytes(int(generator.integers(1, 60)))
        decode_names([raw])[raw].encode()
