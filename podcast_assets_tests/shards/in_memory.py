"""Members and samples made of bytes in memory."""

import hashlib

from podcast_assets.shards.tar_shards import Sample
from podcast_assets.shards.ustar import member_around


def member_bytes(name: str, data: bytes) -> bytes:
    """Header, data and padding of a member."""
    before, after = member_around(name, len(data))
    return before + data + after


def sample(key: str, group: str, suffix: str, json: bytes, audio: bytes) -> Sample:
    """A sample of two members."""
    hashes = [hashlib.sha256(data).hexdigest() for data in (json, audio)]
    return Sample(key, group, suffix, json, hashes[0], (audio,), len(audio), hashes[1])
