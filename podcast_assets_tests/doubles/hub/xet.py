"""What the client wrote by Xet: its store is a folder here (`local://`), out of which files are taken by their SHA-256."""

import hashlib
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

_HEADER = 48
_RECORD = 48
_END = b"\xff" * 32
_VERIFIED, _WITH_METADATA = 1 << 31, 1 << 30

_FETCH = """
import sys, time, hf_xet
out, name, size, cas = sys.argv[1:]
wanted = [hf_xet.PyXetDownloadInfo(out, name, int(size))]
hf_xet.download_files(wanted, 'local://' + cas, ('t', int(time.time()) + 3600), None, None)
"""


def take(cas: Path, sha256: str, place: Path) -> bool:
    """Bring a file that some client wrote to a path, proved by its hash; False where there is none."""
    found = _find(cas, sha256)
    if found is None:
        return False
    name, size, store = found
    fresh = place.with_suffix(".xet")
    with tempfile.TemporaryDirectory(dir=cas.parent) as folder:
        # a copy: the client may still hold the lock on its index
        shutil.copytree(store, Path(folder) / "xet" / "xorbs", copy_function=_copied)
        subprocess.run([sys.executable, "-c", _FETCH, str(fresh), name, str(size), folder], check=True)
    if hashlib.sha256(fresh.read_bytes()).hexdigest() != sha256:
        raise ValueError("what came by Xet is not what was announced")
    fresh.replace(place)
    return True


def _copied(source: str, target: str) -> None:
    (shutil.copy if source.endswith(".redb") else os.link)(source, target)


def _find(cas: Path, sha256: str) -> tuple[str, int, Path] | None:
    """Name, size and store of a file, from the lists that clients leave beside their blocks."""
    for path in cas.rglob("*"):
        if not path.is_file() or b"HFRepoMetaData" not in (data := path.read_bytes())[:32]:
            continue
        at = _HEADER
        while at + _RECORD <= len(data) and data[at : at + 32] != _END:
            name = data[at : at + 32]
            flags, blocks = struct.unpack("<II", data[at + 32 : at + 40])
            sizes = (data[at + _RECORD * (i + 1) + 36 : at + _RECORD * (i + 1) + 40] for i in range(blocks))
            size = sum(struct.unpack("<I", s)[0] for s in sizes)
            at += _RECORD * (1 + blocks * (2 if flags & _VERIFIED else 1))
            if flags & _WITH_METADATA:
                if sha256 in (data[at : at + 32].hex(), _words(data[at : at + 32])):
                    return _words(name), size, cas / path.relative_to(cas).parts[0] / "xet" / "xorbs"
                at += _RECORD
    return None


def _words(digest: bytes) -> str:
    """Xet prints hashes as four little-endian words."""
    return "".join(f"{word:016x}" for word in struct.unpack("<4Q", digest))
