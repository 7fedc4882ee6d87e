"""Put somebody's files under `incoming/` of a store, as one batch."""

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from podcast_assets.errors import BadInput
from podcast_assets.intake.arrivals import INCOMING
from podcast_assets.intake.names import BATCH_NAME, slug
from podcast_assets.store import BLOCK, Store


def batch_of(inputs: Sequence[Path]) -> str:
    """A batch's name from where its files come from: the same places are the same batch, so that to run them again is to resume."""
    places = sorted(str(path.resolve()) for path in inputs)
    name = slug(inputs[0].resolve().name.split(".")[0], length=40)
    return f"{name}-{hashlib.sha256(os.fsencode(chr(0).join(places))).hexdigest()[:8]}"


def place(store: Store, inputs: Sequence[Path], batch: str) -> None:
    """Lay files, folders and archives under `incoming/<batch>/`, as links where the file system can.

    A file that is gone from the inputs since the last time goes from there too.

    Raises:
        BadInput: an input is missing, or the batch's name cannot be one.
    """
    if not BATCH_NAME.fullmatch(batch):
        raise BadInput(
            f"{batch!r} cannot be a batch: lower-case letters, digits, '.', '_' and '-', 63 at most, no '..'"
        )
    for path in inputs:
        if not path.exists():
            raise BadInput(f"{path}: there is no such file or folder")
    wanted: dict[str, Path] = {}
    for path in inputs:
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in files:
            inside = file.relative_to(path).as_posix() if path.is_dir() else file.name
            name = inside if len(inputs) == 1 or not path.is_dir() else f"{path.resolve().name}/{inside}"
            if name in wanted:
                raise BadInput(f"{file} and {wanted[name]} would both be {name!r}: give their common folder instead")
            wanted[name] = file
    if not wanted:
        raise BadInput(f"{', '.join(map(str, inputs))}: no file in it")
    for name, file in wanted.items():
        _copy(store, file, f"{INCOMING}/{batch}/{name}")
    folder = store.path(f"{INCOMING}/{batch}")
    for old in [p for p in folder.rglob("*") if p.is_file()]:
        if old.relative_to(folder).as_posix() not in wanted:
            old.unlink()


def _copy(store: Store, file: Path, key: str) -> None:
    target = store.path(key)
    source = file.stat()
    if target.exists():
        there = target.stat()
        if there.st_size == source.st_size and (not store.is_local or there.st_mtime == source.st_mtime):
            return
        target.unlink()
    if store.is_local:
        local = Path(str(target))
        local.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(file.resolve(), local)
        except OSError:  # another file system, or one without hard links
            shutil.copy2(file, local)
    else:
        with file.open("rb") as f, target.open("wb") as out:
            shutil.copyfileobj(f, out, BLOCK)
