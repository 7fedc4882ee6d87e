"""Bytes passed on from one file to another in blocks, and hashed on their way."""

from typing import TYPE_CHECKING, BinaryIO, Protocol

from podcast_assets.store.store import BLOCK

if TYPE_CHECKING:
    import hashlib


class ByteSink(Protocol):
    """What takes bytes."""

    def write(self, data: bytes, /) -> object:
        """Take some."""
        ...


def copy_and_hash(source: BinaryIO, size: int | None, digest: "hashlib._Hash", target: ByteSink | None) -> int:
    """Read so many bytes (None: all that are left), hash them, and write them if there is where to; gives how many there were."""
    done = 0
    while block := source.read(BLOCK if size is None else min(BLOCK, size - done)):
        digest.update(block)
        if target is not None:
            target.write(block)
        done += len(block)
    return done
