"""Takedown records, `takedowns/<id>.json` in the store: who, when, why and what, but never the content.

Ingest refuses and releases omit what they name, by episode, content, podcast and URL.
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
"""Lists of a record that identify its target; the last one lists the affected episodes."""
_LISTS = tuple(name for name, (dtype, _) in TAKEDOWNS.items() if dtype == pl.List(pl.String))

Record = dict[str, Any]
"""A row of TAKEDOWNS."""


def record_id(scope: str, names: Sequence[str]) -> str:
    """Id of the record of a target, 16 hexadecimal digits; the same target always has the same id."""
    return fingerprint(scope=scope, names=sorted(names))[:16]


def new_record(identity: str, scope: str, target: str, reason: str, by: str | None, at: datetime.datetime) -> Record:
    """Make a record of a takedown that has not been carried out yet.

    Args:
        identity: id from `record_id`.
        scope: `episode` or `podcast`.
        target: displayed name of the target.
        reason: reason of the takedown.
        by: who requested it; None if unknown.
        at: time of the request.
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
    """Write a record atomically, with its lists sorted and without repetitions."""
    plain = {k: v.isoformat() if isinstance(v, datetime.datetime) else v for k, v in record.items()}
    plain |= {k: sorted(set(record[k])) for k in _LISTS}
    store.write(f"{FOLDER}/{record['takedown']}.json", f"{json.dumps(plain, ensure_ascii=False, indent=1)}\n".encode())


def read_record(store: Store, identity: str) -> Record | None:
    """Read a record; None if there is none.

    Raises:
        BadInput: the record is invalid, and must not be ignored.
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
        BadInput: a record is invalid.
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
        """Create the lookup from records, columns TAKEDOWNS."""
        self._reasons: dict[tuple[str, str], str] = {}
        for row in found.iter_rows(named=True):
            reason = refusal_reason(row)
            for name in NAMES[:-1]:
                self._reasons |= {(name, value): reason for value in row[name] or ()}

    @classmethod
    def of(cls, store: Store) -> "Refusals":
        """Create the lookup from all records of a store.

        Raises:
            BadInput: a record is invalid.
        """
        return cls(read_records(store))

    def __bool__(self) -> bool:
        """Whether anything is taken down."""
        return bool(self._reasons)

    def why(
        self,
        *,
        episode_id: str | None = None,
        sha256: Iterable[str | None] = (),
        podcast_id: str | None = None,
        podcast: str | None = None,
        url_key: str | None = None,
    ) -> str | None:
        """Reason why an episode is refused; None if it is not.

        Args:
            episode_id: id of the episode.
            sha256: hashes of its bytes and of earlier content of its URL.
            podcast_id: guid of its podcast.
            podcast: title of its podcast, used if there is no guid.
            url_key: hash of the URL of the episode or its feed.
        """
        keys = [
            ("episode_ids", episode_id),
            *(("sha256", value) for value in sha256),
            ("podcast_ids", podcast_id),
            ("podcast_titles", None if podcast_id else podcast),
            ("url_keys", url_key),
        ]
        return next((self._reasons[n, v] for n, v in keys if v is not None and (n, v) in self._reasons), None)
