"""Records of what was taken down: `takedowns/<id>.json` in the store. Who, when, why and which; never what it held."""

import datetime
import json
from typing import Any

import polars as pl

from podcast_assets.errors import BadInput
from podcast_assets.fingerprint import fingerprint
from podcast_assets.schema import TAKEDOWNS, table
from podcast_assets.store import Store

FOLDER = "takedowns"
_TIMES = ("at", "finished_at")
_LISTS = tuple(name for name, (dtype, _) in TAKEDOWNS.items() if dtype == pl.List(pl.String))

Record = dict[str, Any]
"""A row of TAKEDOWNS."""


def record_id(scope: str, names: list[str]) -> str:
    """Id of the record of a target: ordered again it is the same one. 16 hexadecimal digits."""
    return fingerprint(scope=scope, names=sorted(names))[:16]


def new_record(scope: str, names: list[str], target: str, reason: str, by: str | None, at: datetime.datetime) -> Record:
    """A record of which nothing is done yet.

    Args:
        scope: episode or podcast.
        names: what identifies the target: an episode id, or the guids or titles of a podcast.
        target: as people are shown it.
        reason: why.
        by: who.
        at: when.
    """
    return dict.fromkeys(TAKEDOWNS) | {
        "takedown": record_id(scope, names),
        "scope": scope,
        "target": target,
        "reason": reason,
        "by": by,
        "at": at,
        **{name: [] for name in _LISTS},
    }


def write_record(store: Store, record: Record) -> None:
    """Write a record, whole or not at all; its lists are sorted, each value once."""
    plain = {k: v.isoformat() if isinstance(v, datetime.datetime) else v for k, v in record.items()}
    plain |= {k: sorted(set(record[k])) for k in _LISTS}
    store.write(f"{FOLDER}/{record['takedown']}.json", f"{json.dumps(plain, ensure_ascii=False, indent=1)}\n".encode())


def read_record(store: Store, identity: str) -> Record | None:
    """A record; None where there is none.

    Raises:
        BadInput: it cannot be read: what it forbids must not be passed over.
    """
    key = f"{FOLDER}/{identity}.json"
    try:
        found = json.loads(store.read(key))
        record = {name: found[name] for name in TAKEDOWNS}
        times = {k: datetime.datetime.fromisoformat(record[k]) if record[k] else None for k in _TIMES}
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"{store.path(key)} cannot be read as the record of a takedown, and what it forbids must not be passed over: mend it"
        ) from error
    return record | times


def records(store: Store) -> pl.DataFrame:
    """All records, columns TAKEDOWNS, in order of time.

    Raises:
        BadInput: one of them cannot be read.
    """
    names = sorted(n for n in store.names(FOLDER) if n.endswith(".json") and not n.startswith("."))
    found = [read_record(store, name.removesuffix(".json")) for name in names]
    return table([r for r in found if r is not None], TAKEDOWNS).sort("at", "takedown")
