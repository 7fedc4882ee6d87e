"""Fetch what the review page's browsers load from the npm registry, as vendor.json names it.

Needs npm. Versions, integrity and files are in podcast_assets/review/app/static/vendor/vendor.json; to update, change them there:

python tools/vendor_static.py            writes the files
python tools/vendor_static.py --check    compares them, and writes nothing
"""

import base64
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

VENDOR = Path(__file__).parents[1] / "podcast_assets" / "review" / "app" / "static" / "vendor"


def main() -> None:
    """Write or compare the files of all packages."""
    check = sys.argv[1:] == ["--check"]
    differing = []
    for package in json.loads((VENDOR / "vendor.json").read_text()):
        for path, content in fetch_files(package):
            if check and (not path.exists() or path.read_bytes() != content):
                differing.append(str(path))
            elif not check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                print(f"wrote {path} ({len(content) / 1000:.0f} kB)")
    if differing:
        sys.exit(f"not as in the registry: {', '.join(differing)}")


def fetch_files(package: dict[str, Any]) -> list[tuple[Path, bytes]]:
    """Download a package and return its files, with their places here."""
    name = f"{package['package']}@{package['version']}"
    with tempfile.TemporaryDirectory() as folder:
        packed = subprocess.run(
            ["npm", "pack", "--silent", name], cwd=folder, check=True, capture_output=True, text=True
        ).stdout.strip()
        archive = Path(folder) / packed.splitlines()[-1]
        digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if package["integrity"] != f"sha512-{digest}":
            sys.exit(f"{name} is not what vendor.json describes: sha512-{digest}")
        with tarfile.open(archive) as tar:
            return [
                (VENDOR / package["folder"] / target, _read_member(tar, f"package/{source}"))
                for source, target in package["files"].items()
            ]


def _read_member(tar: tarfile.TarFile, name: str) -> bytes:
    member = tar.extractfile(name)
    if member is None:
        sys.exit(f"{tar.name} has no file {name}")
    return member.read()


if __name__ == "__main__":
    main()
