"""A tar.gz of 1,000 mp3 files: `tarfile.extractall` to a folder, our stream of members, and all of `unpack` into a store.

    python -m benchmarks.unpack [--rounds 7] [--files 1000] [--kilobytes 400]

"members" reads every member to its end, and writes nothing. "unpack" hashes each (SHA-256, MD5) and keeps it in the store, synced
to the disk; nothing else is written. That all three give the same bytes is asserted.
"""

import argparse
import hashlib
import io
import shutil
import tarfile
import tempfile
from pathlib import Path

from benchmarks.decode import make
from benchmarks.measured import compare
from podcast_assets.intake.archives.members import ArchiveMember, read_members
from podcast_assets.intake.arrivals import find_arrival
from podcast_assets.intake.unpack import unpack
from podcast_assets.store.store import BLOCK, Store


def pack(target: Path, files: int, size: int) -> None:
    """Write an archive of distinct parts of one long MP3."""
    long = target.with_name("long.mp3")
    make(long, 900)
    sound = long.read_bytes()
    with tarfile.open(target, "w:gz", compresslevel=6) as archive:
        for number in range(files):
            start = number * 104_729 % (len(sound) - size)
            info = tarfile.TarInfo(f"{number:04d}.mp3")
            info.size = size
            archive.addfile(info, io.BytesIO(sound[start : start + size - 4] + number.to_bytes(4, "big")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--files", type=int, default=1_000)
    parser.add_argument("--kilobytes", type=int, default=400)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, out = Path(name), Path(name) / "out"
        archive = folder / "store" / "incoming" / "batch.tar.gz"
        archive.parent.mkdir(parents=True)
        pack(archive, arguments.files, arguments.kilobytes * 1_000)
        store = Store.at(folder / "store")
        found: dict[str, set[str]] = {}

        def by_tarfile() -> None:
            shutil.rmtree(out, ignore_errors=True)
            with tarfile.open(archive) as tar:
                tar.extractall(out, filter="data")

        def by_members() -> None:
            with archive.open("rb") as file:
                for member in read_members(file):
                    assert isinstance(member, ArchiveMember)
                    while member.stream.read(BLOCK):
                        pass

        def by_unpack() -> None:
            shutil.rmtree(folder / "store" / "audio", ignore_errors=True)
            taken = unpack(store, find_arrival(store, "batch"))
            assert not taken.broken
            found["ours"] = {f.stored.sha256 for f in taken.files}

        by_tarfile()
        found["peer"] = {hashlib.sha256(p.read_bytes()).hexdigest() for p in out.iterdir()}
        by_unpack()
        assert found["ours"] == found["peer"]
        assert len(found["peer"]) == arguments.files
        megabytes = arguments.files * arguments.kilobytes / 1_000
        compare(
            {"tarfile.extractall": by_tarfile, "members": by_members, "unpack": by_unpack},
            arguments.rounds,
            megabytes,
            "MB",
        )


if __name__ == "__main__":
    main()
