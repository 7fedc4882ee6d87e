"""Takedown records: `takedowns/<id>.json` in the store. Who, when, why and which; never what it held.

They are what a later ingest is refused by, and what a release leaves out: by episode, by content, by podcast and by URL.
"""

import datetime
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from podcast_assets.common.errors import BadInput
from podcast_assets.common.fingerprint import fingerprint
from podcast_assets.store.schema import make_table
from podcast_assets.store.schema_beside import TAKEDOWNS
from podcast_assets.store.store import Store

FOLDER = "takedowns"
_TIMES = ("at", "finished_at")
NAMES = ("episode_ids", "sha256", "podcast_ids", "podcast_titles", "url_keys", "episodes")
"""Lists of a record that say what it is of; the last, where that was."""
_LISTS = tuple(name for name, (dtype, _) in TAKEDOWNS.items() if dtype == pl.List(pl.String))

Record = dict[str, Any]
"""A row of TAKEDOWNS."""


def record_id(scope: str, names: Sequence[str]) -> str:
    """Id of the record of a target, by what identifies it: ordered again it is the same one. 16 hexadecimal digits."""
    return fingerprint(scope=scope, names=sorted(names))[:16]


def new_record(identity: str, scope: str, target: str, reason: str, by: str | None, at: datetime.datetime) -> Record:
    """Make a record of a takedown that has not been carried out yet.

    Args:
        identity: of `record_id`.
        scope: episode or podcast.
        target: as people are shown it.
        reason: why.
        by: who.
        at: when.
    """
    return dict.fromkeys(TAKEDOWNS) | {
        "takedown": identity,
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
    """Read a record; None if there is none.

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
            f"{store.path(key)} is not a valid takedown record: repair it, because it must not be ignored"
        ) from error
    return record | times


def read_records(store: Store) -> pl.DataFrame:
    """Read all records, columns TAKEDOWNS, in order of time.

    Raises:
        BadInput: one of them cannot be read.
    """
    names = sorted(n for n in store.names(FOLDER) if n.endswith(".json") and not n.startswith("."))
    found = [read_record(store, name.removesuffix(".json")) for name in names]
    return make_table([r for r in found if r is not None], TAKEDOWNS).sort("at", "takedown")


def refusal_reason(record: Mapping[str, Any]) -> str:
    """Reason shown to people for an episode that was taken down."""
    return f"taken down on {record['at']:%Y-%m-%d}: {record['reason']}"


class Refusals:
    """Lookup of taken-down episodes."""

    def __init__(self, found: pl.DataFrame) -> None:
        """Refusals of records, columns TAKEDOWNS."""
        self._of: dict[tuple[str, str], str] = {}
        for row in found.iter_rows(named=True):
            why = refusal_reason(row)
            for name in NAMES[:-1]:
                self._of |= {(name, value): why for value in row[name] or ()}

    @classmethod
    def of(cls, store: Store) -> "Refusals":
        """Refusals of all records of a store.

        Raises:
            BadInput: one of them cannot be read.
        """
        return cls(read_records(store))

    def __bool__(self) -> bool:
        """Whether anything is taken down."""
        return bool(self._of)

    def why(
        self,
        *,
        episode_id: str | None = None,
        sha256: Iterable[str | None] = (),
        podcast_id: str | None = None,
        podcast: str | None = None,
        url_key: str | None = None,
    ) -> str | None:
        """Why an episode is refused; None where it is not.

        Args:
            episode_id: its id.
            sha256: of its bytes, and of others that its URL gave before.
            podcast_id: guid of its podcast.
            podcast: title of its podcast, by which one without a guid is known.
            url_key: of the URL that it, or its feed, comes from.
        """
        keys = [
            ("episode_ids", episode_id),
            *(("sha256", value) for value in sha256),
            ("podcast_ids", podcast_id),
            ("podcast_titles", None if podcast_id else podcast),
            ("url_keys", url_key),
        ]
        return next((self._of[n, v] for n, v in keys if v is not None and (n, v) in self._of), None)
