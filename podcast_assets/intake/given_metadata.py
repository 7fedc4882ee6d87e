"""Metadata that a command gives for all its episodes: language, licence, podcast, title and number of speakers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from podcast_assets.common.errors import BadInput
from podcast_assets.common.language_codes import language_code
from podcast_assets.intake.metadata import first_text

_SPEAKERS = re.compile(r"\s*(\d{1,4})\s*(?:-\s*(\d{1,4})\s*)?")
SPEAKER_COLUMNS = ("num_speakers", "min_speakers", "max_speakers")
_SPELLINGS = {
    "language": ("language", "lang"),
    "license": ("license", "licence"),
    "podcast": ("podcast", "podcast_title"),
    "title": ("title", "episode_title"),
    **dict.fromkeys(SPEAKER_COLUMNS, SPEAKER_COLUMNS),
}
"""Column → columns that give the same; a row that has one of them keeps it."""


@dataclass(frozen=True)
class GivenMetadata:
    """Metadata given for all episodes of a command; None where nothing was given."""

    language: str | None = None
    """In any form that names a language."""
    license: str | None = None
    podcast: str | None = None
    title: str | None = None
    speakers: str | None = None
    """A number, or the fewest and the most as `2-4`."""

    def row(self) -> dict[str, Any]:
        """Columns of a metadata row, those that were given only.

        Raises:
            BadInput: the language is unknown, or the speakers are no number or range.
        """
        texts = {"license": self.license, "podcast": self.podcast, "title": self.title}
        return (
            ({"language": check_language(self.language)} if self.language else {})
            | {name: text.strip() for name, text in texts.items() if text and text.strip()}
            | (parse_speakers(self.speakers) if self.speakers else {})
        )


def parse_speakers(text: str) -> dict[str, int]:
    """Columns for a number of speakers, such as `2`, or a range, such as `2-4`.

    Raises:
        BadInput: it is neither.
    """
    match = _SPEAKERS.fullmatch(text)
    fewest, most = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 1 <= fewest <= most:
        raise BadInput(f"{text!r} is not a number of speakers: give one, such as 2, or a range, such as 2-4")
    return {"num_speakers": fewest} if fewest == most else {"min_speakers": fewest, "max_speakers": most}


def check_language(language: str | None) -> str | None:
    """ISO 639-1 code of a language; None for none.

    Raises:
        BadInput: it is not known.
    """
    code = language_code(language)
    if language and code is None:
        raise BadInput(f"{language!r} is not a language code: give an ISO 639-1 code, such as en or de")
    return code


def fill_missing(row: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with what was given in place of what it does not say itself."""
    missing = {k: v for k, v in given.items() if first_text(row, *_SPELLINGS.get(k, (k,))) is None}
    return {**row, **missing}


def overwrite(row: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with what was given in place of what it says, under any spelling."""
    replaced = {name for column in given for name in _SPELLINGS.get(column, ())}
    return {**{k: v for k, v in row.items() if k not in replaced}, **given}
