import hashlib

import numpy as np
import pytest

from podcast_assets.common.hashing import Hashes


@pytest.mark.parametrize("sizes", [[], [0], [1, 70_000, 3], [1 << 20] * 5 + [17]], ids=str)
def test_blocks_of_any_size_give_the_hashes_of_the_whole(sizes: list[int]) -> None:
    rng = np.random.default_rng(0)
    blocks = [rng.bytes(size) for size in sizes]
    hashes = Hashes()
    for block in blocks:
        hashes.update(block)
    whole = b"".join(blocks)
    assert (hashes.sha256, hashes.md5, hashes.size) == (
        hashlib.sha256(whole).hexdigest(),
        hashlib.md5(whole).hexdigest(),
        len(whole),
    )
