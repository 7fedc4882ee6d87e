"""Parts of multipart uploads to S3, and the entity tags that result from them."""

import hashlib
import math
from pathlib import Path

from podcast_assets.store.backends.protocol import BLOCK

PART = 8 << 20
"""Bytes of a part of an upload or a read. Each is one request with its own retries; S3 requires at least 5 MiB."""
MAX_PARTS = 10_000
"""Parts of an upload. https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html"""


def part_bytes(size: int) -> int:
    """Size in bytes of the parts of an upload: the smallest that stays within MAX_PARTS."""
    return max(PART, math.ceil(size / MAX_PARTS))


def entity_tag(file: Path) -> str:
    """Compute the entity tag that S3 assigns to an upload: the MD5, or the MD5 of the MD5s of its parts and their number.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
    """
    size = file.stat().st_size
    part = part_bytes(size)
    digests = []
    with file.open("rb") as f:
        for start in range(0, max(size, 1), part):
            digest = hashlib.md5(usedforsecurity=False)
            left = min(part, size - start)
            while left and (block := f.read(min(BLOCK, left))):
                digest.update(block)
                left -= len(block)
            digests.append(digest)
    if len(digests) == 1:
        return digests[0].hexdigest()
    whole = hashlib.md5(b"".join(d.digest() for d in digests), usedforsecurity=False)
    return f"{whole.hexdigest()}-{len(digests)}"


def unquote_entity_tag(e_tag: str | None) -> str | None:
    """Strip the quotes and the weak prefix that servers put around an entity tag."""
    return e_tag.removeprefix("W/").strip('"') if e_tag else None
