"""What a search returns."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import polars as pl

from podcast_assets.common.redaction import redact_url


@dataclass(frozen=True, slots=True)
class Hit:
    """A phrase that was found. Times are seconds on the episode's clock."""

    batch: str
    episode_id: str
    podcast: str | None
    title: str | None
    published: str | None
    start: float
    end: float
    speaker: str | None
    language: str | None
    text: str
    before: str
    """The phrase before it in the episode, of any speaker; empty at the beginning."""
    after: str
    segment_ids: tuple[str, ...]
    """Segments that the phrase has a part of."""
    link: str | None
    """URL of the episode's recording with the time as a media fragment (#t=…); None if it did not come from a URL."""
    source: str | None
    """Name of the recording in its batch."""
    score: float
    """What hits are ordered by: only comparable within one search."""
    word_rank: int | None
    """Place among the hits by words, from 1; None if its words were not found."""
    meaning_rank: int | None
    similarity: float | None
    """Inner product of the vectors of query and phrase, -1 to 1; None if it is not near."""


@dataclass(frozen=True)
class SearchResults(Sequence[Hit]):
    """Hits, the best first."""

    hits: tuple[Hit, ...]
    notes: tuple[str, ...] = ()
    """What limited the search, for people."""

    def __len__(self) -> int:
        return len(self.hits)

    def __getitem__(self, index: Any) -> Any:
        return self.hits[index]

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return one dictionary per hit, as JSON stores it."""
        return [asdict(hit) | {"segment_ids": list(hit.segment_ids)} for hit in self.hits]

    def to_polars(self) -> pl.DataFrame:
        """Return one row per hit, with the fields of `Hit` as columns."""
        return pl.DataFrame(self.to_dicts(), schema={field.name: _COLUMN_TYPES[field.type] for field in fields(Hit)})


_COLUMN_TYPES: dict[Any, Any] = {
    str: pl.String,
    str | None: pl.String,
    float: pl.Float64,
    float | None: pl.Float64,
    int | None: pl.Int32,
    tuple[str, ...]: pl.List(pl.String),
}


def time_link(url: str | None, start: float) -> str | None:
    """Link to a time of a recording, by a media fragment (W3C, Media Fragments URI 1.0); None without a web address."""
    if not url or not url.lower().startswith(("http://", "https://")):
        return None
    return f"{redact_url(url)}#t={start:.1f}".removesuffix(".0")


def clock_time(seconds: float) -> str:
    """Write seconds as players show them.

    >>> clock_time(59.9), clock_time(3725)
    ('0:59', '1:02:05')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
