"""Audio of what is reviewed, straight from the store."""

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import BinaryIO

import polars as pl
from sqlalchemy import Engine, select

from podcast_assets.catalog.tables import EPISODES, SEGMENTS
from podcast_assets.review.errors import ItemGone
from podcast_assets.store.commits import CommittedTable
from podcast_assets.store.store import Store, sealed_key

_MEDIA_TYPES = {
    ".flac": "audio/flac",
    ".opus": "audio/ogg",
    ".ogg": "audio/ogg",
    ".mp3": "audio/mpeg",
    ".wav": "audio/wav",
}
_MAGIC = {b"fLaC": ".flac", b"OggS": ".opus", b"RIFF": ".wav"}
"""First bytes → suffix; what begins with nothing of these, of the codecs of shards, is MP3."""


@dataclass
class Audio:
    """An audio file in the store that can be read in parts. Not for several threads at once."""

    size: int
    """Bytes."""
    media_type: str
    """`audio/flac`, `audio/ogg` and so on."""
    etag: str
    offset: float = 0.0
    """Second of the episode's clock at which the file begins: 0 for an episode, the segment's start for a member of a shard."""
    _file: BinaryIO = field(kw_only=True, repr=False)
    _first: int = field(default=0, kw_only=True, repr=False)
    """Byte of the stored file where the audio begins."""

    def read(self, start: int, end: int) -> bytes:
        """Read bytes from `start` to before `end`; what lies outside of the file is left out.

        Raises:
            OSError: the store cannot be read.
        """
        start, end = max(0, start), min(end, self.size)
        if start >= end:
            return b""
        self._file.seek(self._first + start)
        pieces, missing = [], end - start
        while missing and (piece := self._file.read(missing)):
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def open_audio(engine: Engine, store: Store, batch: str, episode_id: str, segment_id: str | None = None) -> Audio:
    """Open the audio of an episode: its working audio; where that is gone, and a segment is given, the shard's member.

    Names of files come from the catalog and never from a request. Close it after use.

    Raises:
        ItemGone: the episode or its audio is not there.
        OSError: the store cannot be read.
    """
    c = EPISODES.c
    found = select(c.working, c.opus).where(c.batch == batch, c.episode_id == episode_id, c.status == "done")
    with engine.connect() as connection:
        keys = connection.execute(found).first()
        if keys is None:
            raise ItemGone("This episode is not there any more: it was taken down, or left out.")
        for key in filter(None, keys):
            if (file := _open_if_there(store, key)) is not None:
                size = file.seek(0, os.SEEK_END)
                suffix = PurePosixPath(key).suffix
                return Audio(
                    size, _MEDIA_TYPES.get(suffix, "application/octet-stream"), _etag(f"{key} {size}"), _file=file
                )
        start = None
        if segment_id is not None:
            s = SEGMENTS.c
            ours = (s.batch == batch) & (s.episode_id == episode_id) & (s.segment_id == segment_id)
            start = connection.scalar(select(s.start).where(ours))
    if segment_id is None or start is None or (member := _open_member(store, batch, segment_id, start)) is None:
        raise ItemGone("The audio of this episode is not in the store any more.")
    return member


def _open_member(store: Store, batch: str, segment_id: str, start: float) -> Audio | None:
    columns = ["segment_id", "shard", "audio_offset", "audio_size", "audio_sha256"]
    rows = CommittedTable.read_columns(store, "hf_shards", batch, columns).table
    row = None if rows is None else next(rows.filter(pl.col("segment_id") == segment_id).iter_rows(named=True), None)
    file = None if row is None else _open_if_there(store, sealed_key(batch, row["shard"]))
    if row is None or file is None:
        return None
    file.seek(row["audio_offset"])
    suffix = _MAGIC.get(file.read(4), ".mp3")
    etag = _etag(row["audio_sha256"])
    return Audio(row["audio_size"], _MEDIA_TYPES[suffix], etag, start, _file=file, _first=row["audio_offset"])


def _open_if_there(store: Store, key: str) -> BinaryIO | None:
    try:
        return store.open(key)
    except FileNotFoundError:
        return None


def _etag(content: str) -> str:
    return f'"{hashlib.sha256(content.encode()).hexdigest()[:32]}"'
