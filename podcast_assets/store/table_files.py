"""Bytes of a table: one parquet file with a SHA-256 of all of it.

The checksums of Parquet itself are not enough. They cover the data of pages, but neither the headers of pages nor the footer, which
has the notes; polars does not check them, and pyarrow, which does, is slow to import. So the digest of everything else in the file
lies in a block of 64 bytes before the footer. Readers of Parquet follow the offsets in the footer and never see the block.
"""

import hashlib
from collections.abc import Mapping
from io import BytesIO

import polars as pl

_PARQUET = b"PAR1"
_TAIL = 4 + len(_PARQUET)
"""Bytes after the footer: its length (uint32, little-endian) and the magic number."""
_BEFORE, _AFTER = b"\xff\xfesha-256 begins", b"sha-256 ends\xfe\xff\xfe\xff"
"""Marks around the digest, of 16 bytes each. They are not UTF-8, so that no text in a table contains them. There are two, so that
a table in which one is damaged is not taken for one of an earlier version, which has no digest."""
_DIGEST = 32
_BLOCK = len(_BEFORE) + _DIGEST + len(_AFTER)


def encode_table(table: pl.DataFrame, notes: Mapping[str, str]) -> bytes:
    """Encode a table and its notes as a parquet file with a digest."""
    buffer = BytesIO()
    table.write_parquet(buffer, compression="zstd", statistics=True, metadata=dict(notes))
    data = buffer.getvalue()
    start = _footer_start(data)
    block = _BEFORE + _digest(data[:start], data[start:]) + _AFTER
    return b"".join((data[:start], block, data[start:]))


def decode_table(data: bytes) -> tuple[pl.DataFrame, dict[str, str]]:
    """Decode a table and its notes. Files of earlier versions have no digest and are not checked.

    Raises:
        ValueError: the file is damaged; the message is one line.
        pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError: the same, as polars finds it.
    """
    if _BEFORE in data or _AFTER in data:
        _check(data)
    return pl.read_parquet(BytesIO(data)), pl.read_parquet_metadata(BytesIO(data))


def _check(data: bytes) -> None:
    """Raise ValueError unless the digest is that of the file."""
    footer = _footer_start(data)
    start = footer - _BLOCK
    if start < 0 or data[start:footer] != _BEFORE + _digest(data[:start], data[footer:]) + _AFTER:
        raise ValueError("its checksum differs")


def _footer_start(data: bytes) -> int:
    return len(data) - _TAIL - int.from_bytes(data[-_TAIL : -len(_PARQUET)], "little")


def _digest(*parts: bytes) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.digest()
