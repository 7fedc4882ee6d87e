"""Byte ranges of HTTP (RFC 9110, section 14)."""

import re

_RANGE = re.compile(r"\s*bytes\s*=\s*(\d{0,19})\s*-\s*(\d{0,19})\s*", re.ASCII | re.IGNORECASE)


class RangeNotSatisfiable(Exception):
    """A range begins after the end of the file."""


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Read the header `Range`.

    Args:
        header: its value.
        size: bytes of the file.

    Returns:
        The first byte and the one after the last; None for the whole file: without a header, or with one that is not valid or asks
        for several ranges, which a server may ignore.

    Raises:
        RangeNotSatisfiable: nothing of the range is in the file.
    """
    match = _RANGE.fullmatch(header or "")
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    if start >= size or start >= end:
        raise RangeNotSatisfiable
    return start, end
