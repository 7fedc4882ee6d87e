"""Labels of a cluster's machines: the engines and languages that a machine prefers, and where a stage's workers go.

A preference is no limit: where no machine that prefers the work has room, another one does it.
"""

import re
from collections.abc import Iterable, Sequence

_PREFIX = "podcast-assets"
_ENGINE, _LANGUAGE = f"{_PREFIX}/engine-", f"{_PREFIX}/language-"
_PREFERS = f"{_PREFIX}/has-preferences"
"""Label of machines that prefer anything: other work goes there last."""
_YES = "yes"
_VALUE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?")


def labels_of(engines: Iterable[str], languages: Iterable[str]) -> dict[str, str]:
    """Return a machine's labels.

    Args:
        engines: names of engines that it prefers.
        languages: ISO 639-1 codes.

    Raises:
        ValueError: a name cannot be part of a label.
    """
    names = [*(_ENGINE + e for e in engines), *(_LANGUAGE + lang for lang in languages)]
    for name in names:
        value = name.split("-", 2)[-1]
        if not _VALUE.fullmatch(value):
            raise ValueError(f"{value!r} is no name of an engine or a language")
    return dict.fromkeys([*names, _PREFERS], _YES) if names else {}


def preferences_of(labels: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the engines and languages that a machine prefers, by its labels."""
    names = sorted(labels)
    return (
        [n.removeprefix(_ENGINE) for n in names if n.startswith(_ENGINE)],
        [n.removeprefix(_LANGUAGE) for n in names if n.startswith(_LANGUAGE)],
    )


def placements(engines: Sequence[str], languages: Sequence[str]) -> list[dict[str, str]]:
    """Return Ray's label selectors for a worker, to be tried in this order.

    First the machines that prefer one of the languages, then those that prefer one of the engines, those that prefer nothing, and
    all.

    Args:
        engines: names of the stage's engines.
        languages: ISO 639-1 codes of the work, the commonest first.
    """
    wanted = [*(_LANGUAGE + lang for lang in languages), *(_ENGINE + e for e in engines)]
    return [*({name: _YES} for name in dict.fromkeys(wanted)), {_PREFERS: f"!{_YES}"}, {}]


def has_preferences(labels: Iterable[str]) -> bool:
    """Return whether a machine with these labels prefers anything."""
    return _PREFERS in labels
