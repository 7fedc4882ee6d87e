"""Copying of bytes in blocks while hashing them."""

from typing import TYPE_CHECKING, BinaryIO, Protocol

from podcast_assets.store.store import BLOCK

if TYPE_CHECKING:
    import hashlib


class ByteSink(Protocol):
    """Protocol of a writable target."""

    def write(self, data: bytes, /) -> object:
        """Write bytes."""
        ...


def copy_and_hash(source: BinaryIO, size: int | None, digest: "hashlib._Hash", target: ByteSink | None) -> int:
    """Read `size` bytes (None: all), hash them, write them to the target if there is one, and return their number."""
    done = 0
    while block := source.read(BLOCK if size is None else min(BLOCK, size - done)):
        digest.update(block)
        if target is not None:
            target.write(block)
        done += len(block)
    return done
