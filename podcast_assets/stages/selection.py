"""Which rows of batches and episodes a list shows, and in which order. No I/O."""

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from podcast_assets.common.errors import Misconfigured
from podcast_assets.common.language_codes import language_code
from podcast_assets.common.periods import parse_utc

Row = Mapping[str, Any]
AnyRow = TypeVar("AnyRow", bound=Row)

UNKNOWN_LANGUAGE = "unknown"
"""What `--language` takes for episodes whose language is neither declared nor identified."""
PENDING_STATES = ("arrived", "begun", "busy")
"""States of a batch that is not finished."""
BATCH_STATES = ("arrived", "begun", "busy", "done", "failed", "empty")
EPISODE_STATUSES = ("done", "failed", "skipped", "discarded", "pending")

_LARGEST_FIRST: Mapping[str, Callable[[Row], Any]] = {
    "arrived": lambda row: row["arrived"] or "",
    "done": lambda row: row["done"],
    "failures": lambda row: row["failures"],
    "hours": lambda row: row["hours"],
    "bytes": lambda row: row["bytes"] or 0,
    "duration": lambda row: row["duration"] or 0.0,
}
_BY_NAME: Mapping[str, Callable[[Row], Any]] = {
    "batch": lambda row: row["batch"],
    "state": lambda row: BATCH_STATES.index(row["state"]),
    "status": lambda row: EPISODE_STATUSES.index(row["status"]),
    "language": lambda row: row["language"] or "~",  # those without one come last
    "podcast": lambda row: (row["podcast"] or "~").casefold(),
    "file": lambda row: row["source"],
}
BATCH_SORTS = ("arrived", "batch", "state", "done", "failures", "hours", "bytes")
EPISODE_SORTS = ("batch", "arrived", "file", "status", "language", "podcast", "duration", "bytes")


@dataclass(frozen=True)
class Selection:
    """What a list shows; None leaves a condition out."""

    status: str | None = None
    """Status of an episode or state of a batch; `pending` for what is not finished."""
    language: str | None = None
    """ISO 639-1 code, or `UNKNOWN_LANGUAGE`."""
    podcast: str | None = None
    """Title or guid, whatever the case of its letters."""
    since: datetime.datetime | None = None
    """Only what arrived at this time or later."""
    until: datetime.datetime | None = None
    """Only what arrived before this time."""

    @property
    def needs_content(self) -> bool:
        """Whether batches must be read before it is known which are shown."""
        return any((self.status, self.language, self.podcast))

    def takes_episode(self, row: Row) -> bool:
        """Whether the row of an episode is shown."""
        return (
            self.status in (None, row["status"])
            and self.takes_time(row["arrived"])
            and self._takes_language([row["language"]])
            and self._takes_podcast([row["podcast"], row["podcast_id"]])
        )

    def takes_batch(self, row: Row) -> bool:
        """Whether the row of a batch is shown: language and podcast are those of any of its episodes."""
        states = PENDING_STATES if self.status == "pending" else (self.status,)
        return (
            (self.status is None or row["state"] in states)
            and self._takes_language(row["languages"])
            and self._takes_podcast([*row["podcasts"], *row["podcast_ids"]])
        )

    def takes_time(self, arrived: str | None) -> bool:
        """Whether what arrived at a time, ISO 8601, may be shown; an unknown time is shown unless times are asked for."""
        if arrived is None:
            return self.since is None and self.until is None
        time = datetime.datetime.fromisoformat(arrived)
        return (self.since is None or time >= self.since) and (self.until is None or time < self.until)

    def _takes_language(self, languages: Sequence[str | None]) -> bool:
        wanted = None if self.language == UNKNOWN_LANGUAGE else self.language
        return self.language is None or wanted in languages

    def _takes_podcast(self, names: Sequence[str | None]) -> bool:
        return self.podcast is None or self.podcast.casefold() in {n.casefold() for n in names if n}


def sort_rows(rows: Sequence[AnyRow], key: str, *, reverse: bool = False) -> list[AnyRow]:
    """Sort rows: numbers and times from the largest, names from A to Z. Equal rows keep their order.

    Args:
        rows: of batches or episodes.
        key: one of `BATCH_SORTS` or `EPISODE_SORTS`.
        reverse: the other way round.
    """
    largest_first = key in _LARGEST_FIRST
    by = _LARGEST_FIRST[key] if largest_first else _BY_NAME[key]
    return sorted(rows, key=by, reverse=largest_first != reverse)


def parse_language(text: str) -> str:
    """Parse a language code or English name, or `unknown`.

    Raises:
        Misconfigured: it is neither.
    """
    code = UNKNOWN_LANGUAGE if text.strip().lower() == UNKNOWN_LANGUAGE else language_code(text)
    if code is None:
        raise Misconfigured(f"--language {text}: not a language code such as en, nor {UNKNOWN_LANGUAGE}")
    return code


def parse_time(option: str, text: str, *, end: bool = False) -> datetime.datetime:
    """Parse a date or a time, ISO 8601, in UTC unless it says otherwise.

    Args:
        option: name of the option, for the error message.
        text: `2026-11-30` or `2026-11-30T12:00`.
        end: whether a date means its end.

    Raises:
        Misconfigured: it is neither.
    """
    try:
        time = parse_utc(text)
    except (ValueError, OverflowError):
        raise Misconfigured(
            f"{option} {text}: not a date such as 2026-11-30, nor a time such as 2026-11-30T12:00"
        ) from None
    is_date = "T" not in text and ":" not in text
    return time + datetime.timedelta(days=1) if end and is_date else time
