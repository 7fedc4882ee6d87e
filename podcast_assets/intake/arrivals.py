"""Batches under `incoming/` of the store.

`incoming/<batch>.tar[.gz|.xz|.bz2|.zst]`, `incoming/<batch>.zip` and `incoming/<batch>/…` are batches, and so are lists of URLs,
`incoming/<batch>.jsonl|csv|parquet`;
`<batch>.meta.parquet|csv|jsonl` beside one is its metadata. Nothing here is ever modified.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from podcast_assets.common.errors import BadInput
from podcast_assets.common.language_codes import language_code
from podcast_assets.intake.names import batch_name, is_hidden
from podcast_assets.store.store import Entry, Store

INCOMING = "incoming"
_ARCHIVE = re.compile(r"(?P<stem>.+?)\.(tar|tar\.gz|tgz|tar\.xz|txz|tar\.bz2|tar\.zst|zip)", re.IGNORECASE)
_LIST = re.compile(r"(?P<stem>.+)\.(parquet|csv|jsonl)", re.IGNORECASE)
DEFAULTS = ".defaults.json"
"""Hidden file of a folder: what holds for all of its episodes whose metadata say nothing, as {"language": "de"}."""
READY = frozenset({"_READY", ".ready", "_SUCCESS"})
"""Names of the file that says that a folder is complete: `_SUCCESS` is what Hadoop and Spark write."""
_METADATA = re.compile(r"(?P<stem>.+)\.meta\.(parquet|csv|jsonl)", re.IGNORECASE)


@dataclass(frozen=True)
class IncomingFile:
    """One file under `incoming/`: its key, size in bytes, time of change (POSIX seconds), and entity tag in a bucket."""

    key: str
    bytes: int
    modified: float
    content: str | None = None


@dataclass(frozen=True)
class Arrival:
    """A batch under `incoming/`."""

    batch: str
    files: tuple[IncomingFile, ...]
    metadata: tuple[IncomingFile, ...] = ()
    """Metadata files beside the batch."""
    ready: IncomingFile | None = None
    """The marker that says that the folder is complete."""
    defaults: IncomingFile | None = None
    """What holds for all of its episodes whose metadata say nothing."""

    @property
    def is_list(self) -> bool:
        """Whether it is a list of URLs."""
        return len(self.files) == 1 and _LIST.fullmatch(self.files[0].key) is not None and "/" not in self.files[0].key

    @property
    def signature(self) -> str:
        """Changes when a file is added, removed, or changes in size, time or, in a bucket, content."""
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
        """Size of its files."""
        return sum(f.bytes for f in self.files)


def default_language(store: Store, arrival: Arrival) -> str | None:
    """The ISO 639-1 code that holds for episodes whose metadata name no language; None where none does."""
    if arrival.defaults is None:
        return None
    try:
        found = json.loads(store.read(f"{INCOMING}/{arrival.defaults.key}"))
        return language_code(found["language"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f'batch {arrival.batch}: {arrival.defaults.key} is not as {{"language": "de"}}') from error


@dataclass
class Incoming:
    """All arrivals under `incoming/`."""

    arrivals: dict[str, Arrival] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    """Name under `incoming/` → why it is no batch."""


def list_incoming(store: Store) -> Incoming:
    """List the arrived batches. A listing that fails raises: it is never taken for an empty one.

    Raises:
        OSError: the store cannot be listed.
    """
    return _group_entries(list(store.list(INCOMING)))


def _group_entries(entries: Sequence[Entry]) -> Incoming:
    own = len(INCOMING) + 1
    incoming = group_by_batch(
        IncomingFile(e.key[own:], e.bytes, e.modified, e.content) for e in entries if not e.trouble
    )
    incoming.refused.update({e.key[own:]: e.trouble for e in entries if e.trouble})
    return incoming


def _batch_of(name: str, *, is_folder: bool) -> str | None:
    """The batch that a file or folder at the top of `incoming/` belongs to by its name; None where it can belong to none."""
    if is_folder:
        return batch_name(name)
    match = _METADATA.fullmatch(name) or _ARCHIVE.fullmatch(name) or _LIST.fullmatch(name)
    return batch_name(match["stem"]) if match else None


def group_by_batch(files: Iterable[IncomingFile]) -> Incoming:
    """Group files (keys relative to `incoming/`) into batches; pure, so that its rules can be tested on lists."""
    sources: dict[tuple[str, str], list[IncomingFile]] = {}
    beside: dict[str, list[IncomingFile]] = {}
    markers: dict[str, IncomingFile] = {}
    defaults: dict[str, IncomingFile] = {}
    result = Incoming()
    for file in sorted(files, key=lambda f: f.key):
        top, _, rest = file.key.partition("/")
        if rest in READY:
            markers[f"{top}/"] = max(file, markers.get(f"{top}/", file), key=lambda f: f.modified)
            continue
        if rest == DEFAULTS:
            defaults[f"{top}/"] = file
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
            result.arrivals[batch] = Arrival(batch, tuple(members), metadata, markers.get(name), defaults.get(name))
    for files_beside in beside.values():
        result.refused.update({f.key: "metadata without a batch of that name" for f in files_beside})
    return result


def find_arrival(store: Store, batch: str) -> Arrival:
    """The arrival of a batch, as `list_incoming` has it, without a look into the folders of other batches.

    The names at the top are needed whatever the batch is called: files of several names belong to one batch, and those that are
    not fit for a batch's name belong to one that is called otherwise.

    Raises:
        BadInput: nothing under `incoming/` has that name.
    """
    top = store.list_folder(INCOMING)
    entries = [e for e in top.files if _batch_of(e.key[len(INCOMING) + 1 :], is_folder=False) == batch]
    for folder in sorted(top.folders):
        if not is_hidden(folder) and _batch_of(folder, is_folder=True) == batch:
            entries += store.list(f"{INCOMING}/{folder}")
    arrival = _group_entries(entries).arrivals.get(batch)
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
    """Batches that are ready, judged by repeated listings."""

    ready: dict[str, BatchSighting]
    """Those that stopped growing."""
    waiting: dict[str, BatchSighting]
    """Those to look at again."""


def find_settled(
    incoming: Incoming,
    seen: Mapping[str, BatchSighting],
    *,
    now: float,
    minimum_age: float,
    require_ready: bool = False,
) -> SettlingBatches:
    """Batches that look as they did at an earlier look (`seen`), and have done so for a minimum of seconds.

    A folder whose marker is younger than all of its files is ready at once. Where markers are required, others are not ready.

    The files' own times do not count: a copy may keep old ones, and another machine's clock may be ahead.
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
