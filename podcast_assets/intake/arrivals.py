"""Batches under `incoming/` of the store.

A batch is an archive (`incoming/<batch>.tar[.gz|.xz|.bz2|.zst]` or `incoming/<batch>.zip`), a folder (`incoming/<batch>/…`) or a
list of URLs (`incoming/<batch>.jsonl|ndjson|csv|tsv|parquet`). `<batch>.meta.parquet|csv|…` beside it is its metadata. This module
only reads.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from podcast_assets.common.errors import BadInput
from podcast_assets.common.language_codes import language_code
from podcast_assets.intake.names import batch_name, is_hidden
from podcast_assets.store.store import Entry, Store

INCOMING = "incoming"
_ARCHIVE = re.compile(r"(?P<stem>.+?)\.(tar|tar\.gz|tgz|tar\.xz|txz|tar\.bz2|tar\.zst|zip)", re.IGNORECASE)
_LIST = re.compile(r"(?P<stem>.+)\.(parquet|csv|tsv|jsonl|ndjson)", re.IGNORECASE)
DEFAULTS = ".defaults.json"
"""Hidden file of a folder with values for episodes whose metadata have none, such as {"language": "de"}."""
REFUSED = ".refused.json"
"""Hidden file of a folder that `run` or `submit` placed: name → why something in the given folder was not taken."""
READY = frozenset({"_READY", ".ready", "_SUCCESS"})
"""Names of the marker file of a complete folder. Hadoop and Spark write `_SUCCESS`."""
_METADATA = re.compile(r"(?P<stem>.+)\.meta\.(parquet|csv|tsv|jsonl|ndjson)", re.IGNORECASE)


@dataclass(frozen=True)
class IncomingFile:
    """A file under `incoming/`."""

    key: str
    """Key relative to `incoming/`."""
    bytes: int
    """Size."""
    modified: float
    """Time of the last change, POSIX seconds."""
    content: str | None = None
    """Entity tag, in a bucket."""


@dataclass(frozen=True)
class Arrival:
    """A batch under `incoming/`."""

    batch: str
    files: tuple[IncomingFile, ...]
    metadata: tuple[IncomingFile, ...] = ()
    """Metadata files beside the batch."""
    ready: IncomingFile | None = None
    """Marker file that declares the folder complete."""
    defaults: IncomingFile | None = None
    """File of default values, see `DEFAULTS`."""
    refused: tuple[tuple[str, str], ...] = ()
    """Keys in the folder that are not opened, and why."""
    placed_without: IncomingFile | None = None
    """File of what was not placed, see `REFUSED`."""

    @property
    def is_list(self) -> bool:
        """Whether it is a list of URLs."""
        return len(self.files) == 1 and _LIST.fullmatch(self.files[0].key) is not None and "/" not in self.files[0].key

    @property
    def signature(self) -> str:
        """Hash of the listing: changes when a file is added, removed, or changes in size, time or, in a bucket, content."""
        files = [*self.files, *self.metadata, *filter(None, [self.defaults])]
        listing = sorted(
            f"{f.key}\0{f.bytes}\0{f.modified:.3f}" + (f"\0{f.content}" if f.content else "") for f in files
        )
        return hashlib.sha256("\n".join(listing).encode()).hexdigest()[:16]

    @property
    def is_folder(self) -> bool:
        """Whether the batch is a folder, rather than an archive or a list."""
        return "/" in self.files[0].key

    @property
    def is_declared(self) -> bool:
        """Whether a marker newer than the last change declares the batch complete."""
        return self.ready is not None and all(f.modified <= self.ready.modified for f in self.files)

    @property
    def bytes(self) -> int:
        """Total size of its files."""
        return sum(f.bytes for f in self.files)


def default_metadata(store: Store, arrival: Arrival) -> dict[str, Any]:
    """Columns for episodes whose metadata do not give them, from the arrival's defaults; empty if there are none.

    Raises:
        BadInput: the file of defaults is malformed.
    """
    if arrival.defaults is None:
        return {}
    example = (
        f'batch {arrival.batch}: {arrival.defaults.key} must look like {{"language": "de", "license": "CC-BY-4.0"}}'
    )
    try:
        found = json.loads(store.read(f"{INCOMING}/{arrival.defaults.key}"))
        language = language_code(found.get("language"))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise BadInput(example) from error
    if not found or not all(isinstance(value, (str, int)) for value in found.values()):
        raise BadInput(example)
    return {**found, "language": language} if language else {k: v for k, v in found.items() if k != "language"}


def refused_files(store: Store, arrival: Arrival) -> dict[str, str]:
    """Names in the batch's folder, or in the folder that it was placed from, of what is not opened, each with the reason."""
    refused = {key.split("/", 1)[-1]: reason for key, reason in arrival.refused}
    if arrival.placed_without is None:
        return refused
    key = f"{INCOMING}/{arrival.placed_without.key}"
    try:
        found = json.loads(store.read(key))
        return refused | {str(name): str(reason) for name, reason in found.items()}
    except (ValueError, AttributeError, RecursionError):
        return refused | {REFUSED: "not a JSON object of names and reasons: delete it"}


@dataclass
class Incoming:
    """All arrivals under `incoming/`."""

    arrivals: dict[str, Arrival] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    """Name under `incoming/` → reason why it is not part of a batch."""


def list_incoming(store: Store) -> Incoming:
    """List the arrived batches. A failed listing is never taken for an empty one.

    Raises:
        OSError: the store cannot be listed.
    """
    return _group_entries(list(store.list(INCOMING)))


def _group_entries(entries: Sequence[Entry]) -> Incoming:
    own = len(INCOMING) + 1
    incoming = group_by_batch(
        IncomingFile(e.key[own:], e.bytes, e.modified, e.content) for e in entries if not e.trouble
    )
    refused = {e.key[own:]: e.trouble for e in entries if e.trouble and not _is_ignored(e.key[own:])}
    incoming.refused.update(refused)
    by_folder: dict[str, list[tuple[str, str]]] = {}
    for key, reason in sorted(refused.items()):
        by_folder.setdefault(key.partition("/")[0], []).append((key, reason))
    for batch, arrival in incoming.arrivals.items():
        top = arrival.files[0].key.partition("/")[0]
        if arrival.is_folder and top in by_folder:
            incoming.arrivals[batch] = replace(arrival, refused=tuple(by_folder[top]))
    return incoming


def _is_ignored(key: str) -> bool:
    """Whether nothing would be read under this key anyway. A `..` in it is no hidden name, but no path either."""
    return ".." not in key.split("/") and is_hidden(key) and key.partition("/")[2] not in READY | {DEFAULTS}


def _batch_of(name: str, *, is_folder: bool) -> str | None:
    """Derive the batch from the name of a file or folder at the top of `incoming/`; None if the name fits no batch."""
    if is_folder:
        return batch_name(name)
    match = _METADATA.fullmatch(name) or _ARCHIVE.fullmatch(name) or _LIST.fullmatch(name)
    return batch_name(match["stem"]) if match else None


def group_by_batch(files: Iterable[IncomingFile]) -> Incoming:
    """Group files under `incoming/` into batches. Without access to the store, so that tests can use lists."""
    sources: dict[tuple[str, str], list[IncomingFile]] = {}
    beside: dict[str, list[IncomingFile]] = {}
    markers: dict[str, IncomingFile] = {}
    defaults: dict[str, IncomingFile] = {}
    not_placed: dict[str, IncomingFile] = {}
    result = Incoming()
    for file in sorted(files, key=lambda f: f.key):
        top, _, rest = file.key.partition("/")
        if rest in READY:
            markers[f"{top}/"] = max(file, markers.get(f"{top}/", file), key=lambda f: f.modified)
            continue
        if rest == DEFAULTS:
            defaults[f"{top}/"] = file
        if rest == REFUSED:
            not_placed[f"{top}/"] = file
        if is_hidden(file.key):
            continue
        batch = _batch_of(top, is_folder=bool(rest))
        if batch is None:
            result.refused[top] = "neither an archive, a folder nor a list of URLs"
        elif not rest and _METADATA.fullmatch(top):
            beside.setdefault(batch, []).append(file)
        else:
            sources.setdefault((batch, f"{top}/" if rest else top), []).append(file)
    for (batch, name), members in sources.items():
        if batch in result.arrivals:
            result.refused[name] = f"another arrival is called {batch!r} already: rename one of them"
        else:
            metadata = tuple(beside.pop(batch, ()))
            result.arrivals[batch] = Arrival(
                batch,
                tuple(members),
                metadata,
                markers.get(name),
                defaults.get(name),
                placed_without=not_placed.get(name),
            )
    for files_beside in beside.values():
        result.refused.update({f.key: "metadata without a batch of that name" for f in files_beside})
    return result


def lookup_arrival(store: Store, batch: str) -> Arrival | None:
    """Return the arrival of a batch, equal to the one of `list_incoming`; None if nothing under `incoming/` has that name.

    Raises:
        OSError: the store cannot be listed.
    """
    return _list_batch(store, batch).arrivals.get(batch)


def _list_batch(store: Store, batch: str) -> Incoming:
    """List the arrival of a batch, and refused names that would be this batch.

    Only the folders of this batch are listed. The names at the top of `incoming/` are always listed, because a batch can have files
    of several names, and its name can differ from theirs (`Show 2.tar` is the batch `show-2`).
    """
    top = store.list_folder(INCOMING)
    names = [(e.key[len(INCOMING) + 1 :], e) for e in top.files]
    entries = [e for n, e in names if (_batch_of(n, is_folder=False) or batch_name(PurePosixPath(n).stem)) == batch]
    for folder in sorted(top.folders):
        if not is_hidden(folder) and _batch_of(folder, is_folder=True) == batch:
            entries += store.list(f"{INCOMING}/{folder}")
    return _group_entries(entries)


def find_arrival(store: Store, batch: str) -> Arrival:
    """Return the arrival of a batch, as `lookup_arrival` does.

    Raises:
        BadInput: nothing under `incoming/` has that name, or what has it is refused.
        OSError: the store cannot be listed.
    """
    found = _list_batch(store, batch)
    arrival = found.arrivals.get(batch)
    if arrival is None and found.refused:
        reasons = "; ".join(f"{INCOMING}/{name}: {reason}" for name, reason in found.refused.items())
        raise BadInput(f"batch {batch}: {reasons}")
    if arrival is None:
        raise BadInput(
            f"batch {batch}: nothing of that name lies under {store.path(INCOMING)}; "
            "put its archive or folder back, or remove the partition"
        )
    return arrival


class BatchSighting(NamedTuple):
    """Signature of a batch and the POSIX time since when it has been unchanged."""

    signature: str
    since: float


@dataclass(frozen=True)
class SettlingBatches:
    """Batches that are ready and batches that may still grow, judged by repeated listings."""

    ready: dict[str, BatchSighting]
    """Batches that stopped growing or are declared complete."""
    waiting: dict[str, BatchSighting]
    """Batches to check again in the next listing."""


def find_settled(
    incoming: Incoming,
    seen: Mapping[str, BatchSighting],
    *,
    now: float,
    minimum_age: float,
    require_ready: bool = False,
) -> SettlingBatches:
    """Split the arrivals into batches that are ready and batches that may still grow.

    A batch is ready once its signature has not changed for `minimum_age` seconds; a folder is ready at once if its marker is at
    least as new as its files. Modification times are not compared with `now`: copies can keep old ones, and another machine's
    clock can be ahead.

    Args:
        incoming: the current listing.
        seen: waiting batches of the previous listing, by batch.
        now: time of the current listing, POSIX seconds.
        minimum_age: seconds without a change after which a batch is ready.
        require_ready: whether folders without a marker never become ready.
    """
    ready, waiting = {}, {}
    for batch, arrival in incoming.arrivals.items():
        before = seen.get(batch)
        if before is None or before.signature != arrival.signature:
            before = BatchSighting(arrival.signature, now)
            unchanged = False
        else:
            unchanged = now - before.since >= minimum_age
        undeclared = require_ready and arrival.is_folder and arrival.ready is None
        (ready if arrival.is_declared or (unchanged and not undeclared) else waiting)[batch] = before
    return SettlingBatches(ready, waiting)
