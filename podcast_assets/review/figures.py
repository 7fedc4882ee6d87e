"""Figures of the dashboard, from the catalog."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Date, Engine, cast, distinct, func, select, text

from podcast_assets.catalog.tables import (
    BATCHES,
    DECISIONS,
    EPISODES,
    PODCASTS,
    PROVENANCE,
    QUEUE_ITEMS,
    SCHEMA,
    SEGMENTS,
)
from podcast_assets.review.agreement import LabelAgreement, Rating, label_agreement

DAYS = 14
"""Days that are shown."""
_LONGEST_LIST = 200

# what reviewers said of windows without knowing each other's judgments: the newest of each, unless it was undone
_RATINGS = f"""
SELECT DISTINCT ON (d.batch, d.item_id, d.user_id) d.batch, d.episode_id, d.item_id, d.policy, d.decided_by, d.value
FROM {SCHEMA}.decisions d
WHERE d.action = 'label' AND d.look IN (1, 2) AND d.user_id IS NOT NULL AND jsonb_typeof(d.value) = 'object'
    AND NOT EXISTS (SELECT FROM {SCHEMA}.decisions u WHERE u.undoes = d.decision_id)
    AND EXISTS (
        SELECT FROM {SCHEMA}.decisions o
        WHERE o.batch = d.batch AND o.item_kind = d.item_kind AND o.item_id = d.item_id AND o.user_id <> d.user_id
            AND o.action = 'label'
    )
ORDER BY d.batch, d.item_id, d.user_id, d.decided_at DESC
"""


@dataclass(frozen=True)
class Day:
    """What was done on a day (UTC)."""

    date: datetime.date
    decisions: int
    reviewers: int
    hours: float
    """Time that reviewers spent."""


@dataclass(frozen=True)
class Reviewer:
    """What somebody did in the last `DAYS` days."""

    name: str
    decisions: int
    median_seconds: float | None
    """Per item."""


@dataclass(frozen=True)
class LanguageHours:
    """Speech in a language."""

    language: str | None
    segments: int
    hours: float


@dataclass(frozen=True)
class StageSpeed:
    """What a stage did in the last `DAYS` days."""

    stage: str
    episodes: int
    audio_hours: float
    speed: float | None
    """Seconds of audio per second of work."""


@dataclass(frozen=True)
class Figures:
    """Figures of the dashboard."""

    days: Sequence[Day]
    reviewers: Sequence[Reviewer]
    languages: Sequence[LanguageHours]
    stages: Sequence[StageSpeed]
    agreement: Sequence[LabelAgreement]
    """Of labels that two have judged on the same windows; a label is named `policy: label`."""
    episodes: int
    hours: float


@dataclass(frozen=True)
class Choices:
    """What the queues may be restricted to."""

    batches: Sequence[str]
    podcasts: Sequence[tuple[str, str]]
    """Podcast and title."""
    languages: Sequence[str]
    policies: Sequence[str]


def read_choices(engine: Engine) -> Choices:
    """Read what the queues may be restricted to; of batches and podcasts, the newest and the first ones."""
    with engine.connect() as connection:
        batches = connection.scalars(
            select(BATCHES.c.batch).order_by(BATCHES.c.loaded_at.desc(), BATCHES.c.batch).limit(_LONGEST_LIST)
        )
        title = func.coalesce(PODCASTS.c.title, PODCASTS.c.podcast)
        podcasts = connection.execute(select(PODCASTS.c.podcast, title).order_by(title).limit(_LONGEST_LIST))
        return Choices(
            batches.all(),
            [(row[0], row[1]) for row in podcasts],
            _distinct(connection, QUEUE_ITEMS.c.language),
            _distinct(connection, QUEUE_ITEMS.c.policy),
        )


def read_figures(engine: Engine) -> Figures:
    """Read the figures of the dashboard."""
    since = func.now() - datetime.timedelta(days=DAYS)
    recent = (DECISIONS.c.decided_at >= since) & (DECISIONS.c.action != "undo")
    day = cast(func.timezone("UTC", DECISIONS.c.decided_at), Date)
    of_days = (
        select(day, func.count(), func.count(distinct(DECISIONS.c.decided_by)), func.sum(DECISIONS.c.seconds) / 3600)
        .where(recent)
        .group_by(day)
        .order_by(day.desc())
    )
    median = func.percentile_cont(0.5).within_group(DECISIONS.c.seconds)
    of_reviewers = (
        select(DECISIONS.c.decided_by, func.count(), median)
        .where(recent)
        .group_by(DECISIONS.c.decided_by)
        .order_by(func.count().desc())
        .limit(_LONGEST_LIST)
    )
    hours = func.sum(SEGMENTS.c.duration) / 3600
    of_languages = select(SEGMENTS.c.language, func.count(), hours).group_by(SEGMENTS.c.language).order_by(hours.desc())
    audio, work = func.sum(PROVENANCE.c.audio_seconds), func.sum(PROVENANCE.c.seconds)
    of_stages = (
        select(PROVENANCE.c.stage, func.count(), audio / 3600, audio / func.nullif(work, 0))
        .where(PROVENANCE.c.finished_at >= since)
        .group_by(PROVENANCE.c.stage)
        .order_by(PROVENANCE.c.stage)
    )
    totals = select(func.count(), func.sum(EPISODES.c.duration) / 3600).where(EPISODES.c.status == "done")
    with engine.connect() as connection:
        count, episode_hours = connection.execute(totals).one()
        return Figures(
            [Day(r[0], r[1], r[2], r[3] or 0.0) for r in connection.execute(of_days)],
            [Reviewer(*r) for r in connection.execute(of_reviewers)],
            [LanguageHours(r[0], r[1], r[2] or 0.0) for r in connection.execute(of_languages)],
            [StageSpeed(r[0], r[1], r[2] or 0.0, r[3]) for r in connection.execute(of_stages)],
            read_agreement(connection),
            count,
            episode_hours or 0.0,
        )


def read_agreement(connection: Connection) -> list[LabelAgreement]:
    """Read how far reviewers agree on each label, by policy and label."""
    ratings: dict[str, list[Rating]] = {}
    for row in connection.execute(text(_RATINGS)):
        for label, value in row.value.items():
            rating = Rating((row.batch, row.item_id), row.decided_by, value, row.episode_id)
            ratings.setdefault(f"{row.policy}: {label}", []).append(rating)
    found = [label_agreement(label, given) for label, given in sorted(ratings.items())]
    return [agreement for agreement in found if agreement.alpha.items]


def _distinct(connection: Any, column: Any) -> list[str]:
    return list(connection.scalars(select(column).where(column.is_not(None)).distinct().order_by(column)))
