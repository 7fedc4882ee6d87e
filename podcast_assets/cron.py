"""Cron lines, as far as a setting may name one. Dagster reads them by its own code, which takes a second to import."""

import re

_MONTHS = {name: i for i, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}
_DAYS = {name: i for i, name in enumerate("sun mon tue wed thu fri sat".split())}
_FIELDS: tuple[tuple[int, int, dict[str, int]], ...] = (
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {"l": 31}),
    (1, 12, _MONTHS),
    (0, 7, _DAYS),
)
"""Minute, hour, day of the month, month, day of the week: least, most, names; `l` is the last day of the month."""
_DAY, _MONTH, _WEEKDAY = 2, 3, 4
_ALIASES = {"@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"}
_ITEM = re.compile(r"(?:\*|(\w+)(?:-(\w+))?)(?:/0*[1-9][0-9]*)?")


def is_cron_line(text: str) -> bool:
    """Whether a text is a cron line of five fields, or an alias such as `@daily`, that can come true.

    >>> [is_cron_line(line) for line in ("0 2 * * *", "*/5 8-18 * * mon-fri", "0 0 30 2 *", "every hour")]
    [True, True, False, False]
    """
    line = text.lower()
    fields = line.split()
    if line in _ALIASES:
        return True
    if len(fields) != len(_FIELDS) or not all(_is_field(at, field) for at, field in enumerate(fields)):
        return False
    return not (fields[_MONTH] in ("2", "02", "feb") and fields[_DAY] in ("30", "31"))


def _is_field(at: int, field: str) -> bool:
    if field == "?":
        return at in (_DAY, _WEEKDAY)
    items = field.split(",")
    if at == _WEEKDAY:  # `fri#2` is the second Friday of the month, `l5` the last; they stand beside their like alone
        plain = [re.sub(r"^l(?=\d$)|(?<=\w)#[1-5]$", "", item) for item in items]
        if any(a != b for a, b in zip(items, plain, strict=True)) and any(
            a == b for a, b in zip(items, plain, strict=True)
        ):
            return False
        items = plain
    return all(_is_item(at, item) for item in items)


def _is_item(at: int, item: str) -> bool:
    found = _ITEM.fullmatch(item)
    if not found or (at == _DAY and item.startswith("l") and item != "l"):
        return False
    least, most, names = _FIELDS[at]
    ends = [names.get(end, int(end) if end.isdecimal() else -1) for end in found.groups() if end]
    return all(least <= end <= most for end in ends)
