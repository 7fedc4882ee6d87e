"""Placement of local files under `incoming/` of a store, as one batch."""

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from podcast_assets.common.errors import BadInput
from podcast_assets.common.regular_files import list_files, open_file
from podcast_assets.intake.arrivals import INCOMING, REFUSED, lookup_arrival
from podcast_assets.intake.names import check_batch_name, is_hidden, slug
from podcast_assets.store.store import Store

MANIFEST = ".placed.json"
"""Hidden file in a batch's folder that lists the files placed by this command; hidden files are not part of a batch."""

_SHOWN = 3
"""Refused files that are named where there are no others."""
_ALTERNATIVES = "give another --batch, or run the existing batch: podcast-assets backfill --here BATCH"


def batch_name_for(inputs: Sequence[Path]) -> str:
    """Derive a batch name from the paths of its inputs, so that running them again resumes the batch."""
    paths = sorted(str(path.resolve()) for path in inputs)
    name = slug(inputs[0].resolve().name.split(".")[0], length=40)
    return f"{name}-{hashlib.sha256(os.fsencode(chr(0).join(paths))).hexdigest()[:8]}"


@dataclass(frozen=True)
class InputFile:
    """A file of the inputs."""

    top: Path
    """Folder that was given, or that the given file lies in. Links are looked for below it."""
    name: str
    """Path relative to it."""

    @property
    def path(self) -> Path:
        """Path of the file."""
        return self.top / self.name


@dataclass(frozen=True)
class InputFiles:
    """What the inputs consist of, without hidden files."""

    files: dict[str, InputFile]
    """Name in the batch → file."""
    refused: dict[str, str]
    """Name in the batch → why it is not opened."""


def place_inputs(store: Store, inputs: Sequence[Path], batch: str) -> None:
    """Place files, folders and archives under `incoming/<batch>/`, as links if the file system allows it.

    Files that have disappeared from the inputs since the last call are removed from the batch. Files that something else put
    there are not touched: the folder's `.placed.json` lists those placed by this function. What is not placed, because it is no
    file or reached by a symbolic link, is listed in `.refused.json`.

    Raises:
        BadInput: an input is missing, the batch name is invalid, or another batch has the same name.
    """
    check_batch_name(batch)
    found = find_input_files(inputs, follow_links=store.follow_links)
    placed = _placed_before(store, batch)
    folder = f"{INCOMING}/{batch}"
    if foreign := next((n for n in found.files if n not in placed and store.exists(f"{folder}/{n}")), None):
        raise BadInput(
            f"batch {batch}: {store.path(folder)} already has a file {foreign} that this command did not put there; {_ALTERNATIVES}"
        )
    # listed before they are placed, so that a later call can continue after a crash
    store.write(f"{folder}/{MANIFEST}", json.dumps(sorted(placed | found.files.keys())).encode())
    for name, file in found.files.items():
        _copy_file(store, file, f"{folder}/{name}")
    for name in placed.difference(found.files):
        store.remove(f"{folder}/{name}")
    if found.refused:
        store.write(f"{folder}/{REFUSED}", json.dumps(found.refused, sort_keys=True).encode())
    else:
        store.remove(f"{folder}/{REFUSED}")
    store.write(f"{folder}/{MANIFEST}", json.dumps(sorted(found.files)).encode())


def find_input_files(inputs: Sequence[Path], *, follow_links: bool) -> InputFiles:
    """Find the files of the inputs, and name them as in the batch. An input may itself be a link, because it was given by name.

    Args:
        inputs: files and folders.
        follow_links: whether links in folders are followed.

    Raises:
        BadInput: an input is missing or is neither a file nor a folder, two files would have one name, or there are no files.
    """
    for path in inputs:
        if not path.exists():
            raise BadInput(f"{path}: no such file or folder")
        if not path.is_file() and not path.is_dir():
            raise BadInput(f"{path}: neither a file nor a folder")
    result = InputFiles({}, {})
    for path in inputs:
        if not path.is_dir():
            real = path.resolve()
            _add_file(result, path.name, InputFile(real.parent, real.name))
            continue
        for found in sorted(list_files(path, follow_links=follow_links), key=lambda f: f.name):
            if is_hidden(found.name):
                continue
            name = found.name if len(inputs) == 1 else f"{path.resolve().name}/{found.name}"
            if found.refusal is None:
                _add_file(result, name, InputFile(path, found.name))
            else:
                result.refused[name] = found.refusal
    if not result.files:
        raise BadInput(
            f"{', '.join(map(str, inputs))}: contains no files"
            + "".join(f"; {name}: {reason}" for name, reason in list(result.refused.items())[:_SHOWN])
        )
    return result


def _add_file(result: InputFiles, name: str, file: InputFile) -> None:
    if name in result.files:
        raise BadInput(
            f"{file.path} and {result.files[name].path} would both be named {name!r} in the batch: give their common folder "
            "instead"
        )
    result.files[name] = file


def _placed_before(store: Store, batch: str) -> set[str]:
    """Names of the files placed in the batch's folder earlier; empty for a new batch."""
    arrival = lookup_arrival(store, batch)
    manifest = f"{INCOMING}/{batch}/{MANIFEST}"
    placed = store.exists(manifest)
    if arrival is not None and not (placed and arrival.files[0].key.startswith(f"{batch}/")):
        existing = store.path(f"{INCOMING}/{arrival.files[0].key.split('/')[0]}")
        raise BadInput(f"batch {batch}: {existing} has that name and was not created by this command; {_ALTERNATIVES}")
    return set(json.loads(store.read(manifest))) if placed else set()


def _copy_file(store: Store, file: InputFile, key: str) -> None:
    with open_file(file.top, file.name, follow_links=store.follow_links) as source:
        if store.holds(file.path, key):
            return
        if not store.is_local:
            store.upload(file.path, key)
            return
        store.remove(key)
        local = Path(str(store.path(key)))
        local.parent.mkdir(parents=True, exist_ok=True)
        facts = os.fstat(source.fileno())
        try:
            os.link(file.path.resolve() if store.follow_links else file.path, local, follow_symlinks=False)
            if os.path.samestat(facts, local.lstat()):
                return
            local.unlink()  # it was replaced since it was opened
        except OSError:  # another file system, or one without hard links
            pass
        with store.writing(key) as target:
            shutil.copyfileobj(source, target)
        os.utime(local, ns=(facts.st_atime_ns, facts.st_mtime_ns))
