"""Periods of time that people write."""

import datetime
import re

_UNITS = {"h": "hours", "d": "days", "w": "weeks"}
_AGO = re.compile(r"(\d{1,5})\s*([hdw])", re.IGNORECASE)


def parse_utc(text: str) -> datetime.datetime:
    """Return an ISO 8601 date or time in UTC, which it is in unless it says otherwise.

    Raises:
        ValueError: it is neither.
    """
    found = datetime.datetime.fromisoformat(text.strip())
    return found.astimezone(datetime.UTC) if found.tzinfo else found.replace(tzinfo=datetime.UTC)


def parse_since(text: str, now: datetime.datetime) -> datetime.datetime:
    """Return the time that a text names: `24h`, `7d` or `2w` before now, or an ISO 8601 date or time, by default in UTC.

    Args:
        text: what somebody wrote.
        now: the current time, with its time zone.

    Raises:
        ValueError: it is neither.

    >>> parse_since("7d", datetime.datetime(2026, 11, 30, tzinfo=datetime.UTC)).isoformat()
    '2026-11-23T00:00:00+00:00'
    """
    try:
        if ago := _AGO.fullmatch(text.strip()):
            return now - datetime.timedelta(**{_UNITS[ago[2].lower()]: int(ago[1])})
        return parse_utc(text)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is neither a period such as 24h, 7d or 2w, nor a date such as 2026-11-30") from None
