"""Filters of a search, and their SQL over a phrase `p` and its episode `e`."""

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from podcast_assets.common.errors import BadInput

_SCORE = re.compile(
    r"\s*(?P<name>\w+)\s*(?P<operator>>=|<=|>|<)\s*(?P<value>[-+]?[\d.]+(?:e[-+]?\d+)?)\s*", re.IGNORECASE
)
_FLAG = re.compile(r"\s*(?P<policy>[\w-]+)\.(?P<label>[\w-]+)\s*(?P<operator>>=|<=|>|<)\s*(?P<value>[\d.]+)\s*")


@dataclass(frozen=True, slots=True)
class ScoreCondition:
    """A bound of a score, which each segment of a phrase must keep."""

    name: str
    operator: str
    value: float


@dataclass(frozen=True, slots=True)
class FlagCondition:
    """A bound of the largest probability of a label in a phrase's segments. Where nothing was judged, it does not hold."""

    policy: str
    label: str
    operator: str
    value: float


@dataclass(frozen=True, slots=True)
class Filters:
    """What a hit must be. Several values of one filter are alternatives; different filters must all hold."""

    podcasts: Sequence[str] = ()
    """Titles or guids of podcasts; case is ignored."""
    episodes: Sequence[str] = ()
    """Ids of episodes."""
    speakers: Sequence[str] = ()
    """Speaker labels, as SPEAKER_00."""
    languages: Sequence[str] = ()
    """ISO 639-1 codes."""
    batches: Sequence[str] = ()
    after: datetime.date | None = None
    """First day (UTC) on which the episode may have been published. Episodes without a date are left out."""
    before: datetime.date | None = None
    """Last day, likewise."""
    scores: Sequence[ScoreCondition] = ()
    flags: Sequence[FlagCondition] = ()

    def __bool__(self) -> bool:
        """Whether anything is filtered."""
        return any(getattr(self, name) for name in self.__slots__)


def parse_score(text: str) -> ScoreCondition:
    """Parse a condition such as `dnsmos_ovrl>=3`.

    Raises:
        BadInput: it is none, or there is no such score.
    """
    match = _SCORE.fullmatch(text)
    if match is None:
        raise BadInput(f"{text!r} is not a condition such as dnsmos_ovrl>=3")
    if match["name"] not in score_names():
        raise BadInput(f"there is no score {match['name']!r}; there are: {', '.join(score_names())}")
    return ScoreCondition(match["name"], match["operator"], _number(text, match["value"]))


def parse_flag(text: str) -> FlagCondition:
    """Parse a condition such as `hate.hate_speech>0.5`: policy, label and probability.

    Raises:
        BadInput: it is none.
    """
    match = _FLAG.fullmatch(text)
    if match is None:
        raise BadInput(f"{text!r} is not a condition such as POLICY.LABEL>0.5")
    return FlagCondition(match["policy"], match["label"], match["operator"], _number(text, match["value"]))


def score_names() -> list[str]:
    """List the numeric columns of the table `quality_scores`."""
    from podcast_assets.store.schema import QUALITY_SCORES

    return [name for name, (kind, _) in QUALITY_SCORES.items() if kind.is_numeric() and name != "segment_index"]


def filters_sql(filters: Filters) -> tuple[list[str], dict[str, Any]]:
    """Return conditions, to be joined by AND, and their parameters."""
    conditions: list[str] = []
    parameters: dict[str, Any] = {}

    def add(condition: str, **given: Any) -> None:
        conditions.append(condition)
        parameters.update(given)

    if filters.batches:
        add("p.batch = ANY(:batches)", batches=list(filters.batches))
    if filters.episodes:
        add("p.episode_id = ANY(:episodes)", episodes=list(filters.episodes))
    if filters.speakers:
        add("p.speaker = ANY(:speakers)", speakers=list(filters.speakers))
    if filters.languages:
        add("p.language = ANY(:languages)", languages=[language.lower() for language in filters.languages])
    if filters.podcasts:
        names = [name.casefold() for name in filters.podcasts]
        add("(lower(e.podcast_title) = ANY(:podcasts) OR lower(e.podcast_id) = ANY(:podcasts))", podcasts=names)
    if filters.after:
        add("e.published_at >= :after", after=_midnight(filters.after))
    if filters.before:
        add("e.published_at < :before", before=_midnight(filters.before + datetime.timedelta(days=1)))
    for number, score in enumerate(filters.scores):
        add(
            _SCORE_SQL.format(name=score.name, operator=score.operator, number=number),
            **{f"score{number}": score.value},
        )
    for number, flag in enumerate(filters.flags):
        given = {f"policy{number}": flag.policy, f"label{number}": flag.label, f"probability{number}": flag.value}
        add(_FLAG_SQL.format(operator=flag.operator, number=number), **given)
    return conditions, parameters


def _midnight(day: datetime.date) -> datetime.datetime:
    return datetime.datetime.combine(day, datetime.time(), datetime.UTC)


def _number(condition: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise BadInput(f"{condition!r}: {text!r} is not a number") from error


_SCORE_SQL = """
(
    SELECT bool_and(coalesce(s.{name} {operator} :score{number}, false))
    FROM unnest(p.segment_ids) AS member (segment_id)
    LEFT JOIN podcast_catalog.scores AS s ON s.batch = p.batch AND s.segment_id = member.segment_id
)
"""
_FLAG_SQL = """
(
    SELECT max(f.probability) FROM podcast_catalog.content_flags AS f
    WHERE f.batch = p.batch AND f.episode_id = p.episode_id AND f.policy = :policy{number} AND f.label = :label{number}
        AND f.segment_ids && p.segment_ids
) {operator} :probability{number}
"""
