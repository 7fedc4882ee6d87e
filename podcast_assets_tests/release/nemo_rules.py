"""The rules of NeMo's tarred reader, where NeMo itself is not installed (it wants an environment of its own).

A stand-in, written after what `LazyNeMoTarredIterator` does (nemo/collections/common/data/lhotse/nemo_adapters.py, NeMo 2.x): how
numbers are taken from names, that those of manifests and tars must be the same, that members are looked up by their whole name, and
what `skip_missing_manifest_entries` changes. It gives entries of manifests with the bytes of their audio, where NeMo makes cuts.
"""

import io
import itertools
import json
import re
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import soundfile

MANIFEST = re.compile(r"manifest[^/]*_(\d+)[^/]*\.json")
TAR = re.compile(r"audio[^/]*_(\d+)[^/]*\.tar")
SUB = re.compile(r"^(?P<stem>.+)(?P<sub>-sub\d+)(?P<ext>\.\w+)?$")
RANGE = re.compile(r"_OP_(\d+)\.\.(\d+)_CL_")


def expanded(pattern: str) -> list[str]:
    """`…_OP_000..012_CL_…` as the names it stands for, with their leading zeros."""
    found = RANGE.search(pattern)
    if found is None:
        return [pattern]
    numbers = range(int(found[1]), int(found[2]) + 1)
    return [f"{pattern[: found.start()]}{n:0{len(found[1])}d}{pattern[found.end() :]}" for n in numbers]


def entries(
    manifests: Sequence[str], tars: Sequence[str], *, skip_missing_manifest_entries: bool = False
) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Entry of a manifest and the bytes of its audio, shard by shard in the order of the numbers."""
    lines = {path: [json.loads(line) for line in Path(path).read_text().splitlines()] for path in manifests}
    if len(manifests) == 1:  # one for all shards: entries say which is theirs
        by_number = {n: list(g) for n, g in itertools.groupby(lines[manifests[0]], key=lambda e: e["shard_id"])}
    else:
        by_number = {_number(MANIFEST, path): rows for path, rows in lines.items()}
    tar_of = {_number(TAR, path): path for path in tars}
    assert by_number.keys() == tar_of.keys(), "Mismatch between shard IDs"
    for number in sorted(by_number):
        wanted: dict[str, list[dict[str, Any]]] = {}
        for entry in by_number[number]:
            wanted.setdefault(_member(entry["audio_filepath"]), []).append(entry)
        with tarfile.open(tar_of[number], mode="r|*") as tar:
            for member in tar:
                if member.name not in wanted:
                    if skip_missing_manifest_entries:
                        continue
                    raise RuntimeError(f"Cannot locate JSON entry for tar file '{member.name}'")
                stream = tar.extractfile(member)
                assert stream is not None
                audio = stream.read()
                soundfile.info(io.BytesIO(audio))
                for entry in sorted(wanted[member.name], key=lambda e: e["audio_filepath"]):
                    if not entry.get("_skipme", False):
                        yield entry, audio


def _number(pattern: re.Pattern[str], path: str) -> int:
    found = pattern.search(path)
    assert found is not None, f"Cannot determine shard_id: {path}"
    return int(found[1])


def _member(name: str) -> str:
    found = SUB.match(name)
    return name if found is None else found["stem"] + (found["ext"] or "")
