"""A table that is not what was written is never read as if it were."""

import io
import logging
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from podcast_assets.store.commits import Checkpoints
from podcast_assets.store.schema import PROVENANCE, TRANSCRIPTS, make_table
from podcast_assets.store.store import DamagedTable, Store, table_key

KEY = table_key("transcripts", "b")
NOTES = {"podcast_assets.done": '{"e": "f1"}'}
FLIPS = 200


def transcripts() -> pl.DataFrame:
    """A table of a few pages, in which a bit that is flipped changes words, times, and what is null."""
    rows = [
        dict.fromkeys(TRANSCRIPTS)
        | {
            "segment_id": f"e-{n}",
            "episode_id": "e",
            "segment_index": n,
            "text": f"all {n} words",
            "degraded": n % 3 > 0,
        }
        | {"words": [{"word": w, "start": n + i / 10, "end": None, "probability": 0.5} for i, w in enumerate("abc")]}
        for n in range(40)
    ]
    return make_table(rows, TRANSCRIPTS)


def flipped(data: bytes, bits: int = FLIPS) -> Iterator[bytes]:
    """The data with one bit flipped, in places that are spread evenly."""
    for n in range(bits):
        bit = (2 * n + 1) * len(data) * 8 // (2 * bits)
        yield data[: bit // 8] + bytes([data[bit // 8] ^ 1 << n % 8]) + data[bit // 8 + 1 :]


@pytest.fixture
def folder(tmp_path: Path) -> Store:
    return Store.at(tmp_path)


def test_no_flipped_bit_of_a_table_is_overlooked(folder: Store) -> None:
    folder.write_table(KEY, transcripts(), NOTES)
    path = Path(str(folder.path(KEY)))
    for damaged in flipped(path.read_bytes()):
        path.write_bytes(damaged)
        with pytest.raises(DamagedTable) as caught:
            folder.read_table(KEY, TRANSCRIPTS)
        problem = f"{path} is damaged ({len(damaged):,} bytes; its checksum differs)"
        assert str(caught.value) == f"{problem}: materialize its batch again to repair it"


def test_no_flipped_bit_of_a_checkpoint_is_overlooked(folder: Store, caplog: pytest.LogCaptureFixture) -> None:
    checkpoints = Checkpoints(folder, "transcribe", "b", TRANSCRIPTS)
    made = dict.fromkeys(PROVENANCE) | {"episode_id": "e", "fingerprint": "f1"}
    checkpoints.write("e", "f1", transcripts(), make_table([made], PROVENANCE))
    path = Path(str(folder.path(checkpoints.key("e", "f1"))))
    whole = path.read_bytes()
    with caplog.at_level(logging.WARNING):
        for damaged in flipped(whole):
            path.write_bytes(damaged)
            assert checkpoints.read("e", "f1") is None
    assert len(caplog.messages) == FLIPS
    assert set(caplog.messages) == {
        f"{path} is damaged ({len(whole):,} bytes; its checksum differs): it will be computed again"
    }
    path.write_bytes(whole)
    found = checkpoints.read("e", "f1")
    assert found is not None
    assert found[0].equals(transcripts())
    assert found[1].equals(make_table([made], PROVENANCE))


def test_damage_of_the_checksum_itself_does_not_switch_it_off(folder: Store) -> None:
    folder.write_table(KEY, transcripts(), NOTES)
    path = Path(str(folder.path(KEY)))
    whole = path.read_bytes()
    page = len(whole) // 3
    for mark in (whole.index(b"\xff\xfesha-256"), whole.index(b"sha-256 ends"), len(whole) - 8):
        damaged = bytearray(whole)
        damaged[mark] ^= 1
        damaged[page] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(DamagedTable):
            folder.read_table(KEY, TRANSCRIPTS)


@pytest.mark.parametrize("size", [0, 1, 7, 100, 2000, -1])
def test_a_truncated_table_is_damaged(folder: Store, size: int) -> None:
    folder.write_table(KEY, transcripts(), NOTES)
    folder.write(KEY, folder.read(KEY)[:size])
    with pytest.raises(DamagedTable, match=r"transcripts/b\.parquet is damaged \("):
        folder.read_table(KEY, TRANSCRIPTS)


def test_tables_of_earlier_versions_have_no_checksum_and_are_read(folder: Store) -> None:
    buffer = io.BytesIO()
    transcripts().write_parquet(buffer, compression="zstd", statistics=True, metadata=NOTES)
    folder.write(KEY, buffer.getvalue())
    found = folder.read_noted_table(KEY, TRANSCRIPTS)
    assert found is not None
    assert found[0].equals(transcripts())
    assert NOTES.items() <= found[1].items()


def test_other_readers_of_parquet_read_the_tables(folder: Store) -> None:
    folder.write_table(KEY, transcripts(), NOTES)
    path = str(folder.path(KEY))
    assert pl.read_parquet(path).equals(transcripts())
    assert pl.scan_parquet(path).filter(segment_index=7).collect()["text"].to_list() == ["all 7 words"]
    assert pq.read_table(path)["text"].to_pylist() == transcripts()["text"].to_list()
    assert pl.read_parquet_metadata(path)["podcast_assets.done"] == NOTES["podcast_assets.done"]
