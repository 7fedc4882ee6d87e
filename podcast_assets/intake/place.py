"""Placement of local files under `incoming/` of a store, as one batch."""

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from podcast_assets.common.errors import BadInput
from podcast_assets.intake.arrivals import INCOMING, lookup_arrival
from podcast_assets.intake.names import check_batch_name, is_hidden, slug
from podcast_assets.store.store import Store

MANIFEST = ".placed.json"
"""Hidden file in a batch's folder that lists the files placed by this command; hidden files are not part of a batch."""

_ALTERNATIVES = "give another --batch, or run the existing batch: podcast-assets backfill --here BATCH"


def batch_name_for(inputs: Sequence[Path]) -> str:
    """Derive a batch name from the paths of its inputs, so that running them again resumes the batch."""
    paths = sorted(str(path.resolve()) for path in inputs)
    name = slug(inputs[0].resolve().name.split(".")[0], length=40)
    return f"{name}-{hashlib.sha256(os.fsencode(chr(0).join(paths))).hexdigest()[:8]}"


def place_inputs(store: Store, inputs: Sequence[Path], batch: str) -> None:
    """Place files, folders and archives under `incoming/<batch>/`, as links if the file system allows it.

    Files that have disappeared from the inputs since the last call are removed from the batch. Files that something else put
    there are not touched: the folder's `.placed.json` lists those placed by this function.

    Raises:
        BadInput: an input is missing, the batch name is invalid, or another batch has the same name.
    """
    check_batch_name(batch)
    files = name_files(inputs)
    placed = _placed_before(store, batch)
    folder = f"{INCOMING}/{batch}"
    if foreign := next((n for n in files if n not in placed and store.exists(f"{folder}/{n}")), None):
        raise BadInput(
            f"batch {batch}: {store.path(folder)} already has a file {foreign} that this command did not put there; {_ALTERNATIVES}"
        )
    # listed before they are placed, so that a later call can continue after a crash
    store.write(f"{folder}/{MANIFEST}", json.dumps(sorted(placed | files.keys())).encode())
    for name, file in files.items():
        _copy_file(store, file, f"{folder}/{name}")
    for name in placed.difference(files):
        store.remove(f"{folder}/{name}")
    store.write(f"{folder}/{MANIFEST}", json.dumps(sorted(files)).encode())


def name_files(inputs: Sequence[Path]) -> dict[str, Path]:
    """Map names in the batch to the files of the inputs, without hidden files.

    Raises:
        BadInput: an input is missing, two files would have one name, or there are no files.
    """
    for path in inputs:
        if not path.exists():
            raise BadInput(f"{path}: no such file or folder")
    named: dict[str, Path] = {}
    for path in inputs:
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in files:
            inside = file.relative_to(path).as_posix() if path.is_dir() else file.name
            if is_hidden(inside):
                continue
            name = inside if len(inputs) == 1 or not path.is_dir() else f"{path.resolve().name}/{inside}"
            if name in named:
                raise BadInput(
                    f"{file} and {named[name]} would both be named {name!r} in the batch: give their common folder instead"
                )
            named[name] = file
    if not named:
        raise BadInput(f"{', '.join(map(str, inputs))}: contains no files")
    return named


def _placed_before(store: Store, batch: str) -> set[str]:
    """Names of the files placed in the batch's folder earlier; empty for a new batch."""
    arrival = lookup_arrival(store, batch)
    manifest = f"{INCOMING}/{batch}/{MANIFEST}"
    placed = store.exists(manifest)
    if arrival is not None and not (placed and arrival.files[0].key.startswith(f"{batch}/")):
        existing = store.path(f"{INCOMING}/{arrival.files[0].key.split('/')[0]}")
        raise BadInput(f"batch {batch}: {existing} has that name and was not created by this command; {_ALTERNATIVES}")
    return set(json.loads(store.read(manifest))) if placed else set()


def _copy_file(store: Store, file: Path, key: str) -> None:
    if store.holds(file, key):
        return
    if store.is_local:
        store.remove(key)
        local = Path(str(store.path(key)))
        local.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(file.resolve(), local)
        except OSError:  # another file system, or one without hard links
            shutil.copy2(file, local)
    else:
        store.upload(file, key)
