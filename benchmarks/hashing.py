"""SHA-256 and MD5 of a file: two passes that read 4 kB at a time, and ours, in one pass and two threads.

    python -m benchmarks.hashing [--rounds 7] [--megabytes 400]

The file is in the page cache. That both give the same is asserted.
"""

import argparse
import hashlib
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.measured import compare
from podcast_assets.common.hashing import Hashes
from podcast_assets.store.store import BLOCK


def in_two_passes(path: Path) -> tuple[str, str]:
    digests = []
    for kind in (hashlib.sha256, hashlib.md5):
        digest = kind()
        with path.open("rb") as file:
            while block := file.read(4_096):
                digest.update(block)
        digests.append(digest.hexdigest())
    return digests[0], digests[1]


def in_one_pass(path: Path) -> tuple[str, str]:
    sha, md5 = hashlib.sha256(), hashlib.md5()
    with path.open("rb", buffering=0) as file:
        while block := file.read(BLOCK):
            sha.update(block)
            md5.update(block)
    return sha.hexdigest(), md5.hexdigest()


def by_podcast_assets(path: Path) -> tuple[str, str]:
    hashes = Hashes()
    with path.open("rb", buffering=0) as file:
        while block := file.read(BLOCK):
            hashes.update(block)
    return hashes.sha256, hashes.md5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--megabytes", type=int, default=400)
    arguments = parser.parse_args()
    with tempfile.NamedTemporaryFile() as file:
        file.write(np.random.default_rng(0).bytes(arguments.megabytes * 1_000_000))
        file.flush()
        path = Path(file.name)
        assert in_two_passes(path) == in_one_pass(path) == by_podcast_assets(path)
        compare(
            {
                "two passes of 4 kB": lambda: in_two_passes(path),
                "one pass": lambda: in_one_pass(path),
                "ours": lambda: by_podcast_assets(path),
            },
            arguments.rounds,
            arguments.megabytes,
            "MB",
        )


if __name__ == "__main__":
    main()
