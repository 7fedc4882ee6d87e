"""Files of encoded members, written by a stage in episode order and read by sealing in shard order.

JSON and audio of a sample are adjacent. They are hashed right after encoding, and shards that are read back are compared with these
hashes, so that any corruption in between is detected.
"""

import hashlib
import os
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import polars as pl

from podcast_assets.shards.tar_shards import Bytes
from podcast_assets.store.schema import Columns, make_table

MEMBERS: Columns = {
    "segment_id": (pl.String, "sample key"),
    "sample_rate": (pl.Int32, "Hz"),
    "channels": (pl.Int32, "channels of the audio"),
    "members_offset": (pl.Int64, "first byte of the JSON in the file of members; the audio follows it"),
    "json_size": (pl.Int64, "bytes of the JSON"),
    "json_sha256": (pl.String, "SHA-256 of the JSON"),
    "audio_size": (pl.Int64, "bytes of the audio"),
    "audio_sha256": (pl.String, "SHA-256 of the audio"),
}

_AT_ONCE = 1 << 18
"""Bytes of audio per read."""
_OPEN = 64
"""Maximum number of open files: a batch may have more episodes than a process may open files."""


class MembersWriter:
    """Writer of members that records their positions."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._size = file, 0
        self._rows: list[dict[str, Any]] = []

    def add(self, segment_id: str, json: bytes, audio: bytes, *, rate: int, channels: int) -> None:
        """Add a sample."""
        self._file.write(json)
        self._file.write(audio)
        self._rows.append(
            {
                "segment_id": segment_id,
                "sample_rate": rate,
                "channels": channels,
                "members_offset": self._size,
                "json_size": len(json),
                "json_sha256": hashlib.sha256(json).hexdigest(),
                "audio_size": len(audio),
                "audio_sha256": hashlib.sha256(audio).hexdigest(),
            }
        )
        self._size += len(json) + len(audio)

    def rows(self) -> pl.DataFrame:
        """Positions of the samples: columns of MEMBERS."""
        return make_table(self._rows, MEMBERS)


class MembersReader:
    """Random-access reader of the member files of many episodes."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._open: OrderedDict[int, int] = OrderedDict()

    def pair(self, file: int, offset: int, json_size: int, audio_size: int) -> tuple[bytes, Iterable[Bytes]]:
        """Read the JSON and the audio of a sample; long audio is read lazily, in pieces.

        Args:
            file: index of the file.
            offset: first byte of the JSON.
            json_size: bytes of the JSON.
            audio_size: bytes of the audio.

        Raises:
            EOFError: the file is truncated.
        """
        if audio_size <= _AT_ONCE:
            both = self._read_at(file, offset, json_size + audio_size)
            return both[:json_size], (memoryview(both)[json_size:],)
        begin, end = offset + json_size, offset + json_size + audio_size
        audio = (self._read_at(file, at, min(_AT_ONCE, end - at)) for at in range(begin, end, _AT_ONCE))
        return self._read_at(file, offset, json_size), audio

    def _read_at(self, file: int, offset: int, size: int) -> bytes:
        data = os.pread(self._open_handle(file), size, offset)
        if len(data) != size:
            raise EOFError(f"{self._paths[file].name} is cut off: {len(data):,} of {size:,} bytes at {offset:,}")
        return data

    def _open_handle(self, file: int) -> int:
        if file not in self._open:
            if len(self._open) >= _OPEN:
                os.close(self._open.popitem(last=False)[1])
            self._open[file] = os.open(self._paths[file], os.O_RDONLY)
        self._open.move_to_end(file)
        return self._open[file]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._open:
            os.close(self._open.popitem()[1])
