"""Queues: what there is to review, and what is still open."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Engine

from podcast_assets.review.accounts import User

Queue = Literal[
    "flagged",
    "needs_review",
    "low_coverage",
    "low_confidence",
    "disagreement",
    "random",
    "failures",
    "sample",
    "search",
]

QUEUES: Mapping[Queue, str] = {
    "flagged": "Windows that a moderation policy flagged",
    "needs_review": "Windows that a moderation policy could not judge",
    "low_coverage": "Segments with speech that has no words",
    "low_confidence": "Segments that the recognizer was unsure of",
    "disagreement": "Segments where two recognizers disagree",
    "random": "A random sample of segments",
    "failures": "Episodes that failed",
    "sample": "Samples that measure errors, reviewed twice",
    "search": "What you search for",
}
"""Queue → what is in it."""


@dataclass(frozen=True)
class QueueFilter:
    """Restriction of a queue. None allows everything."""

    batch: str | None = None
    podcast: str | None = None
    """`podcasts.podcast` of the catalog."""
    language: str | None = None
    policy: str | None = None
    """Name of a moderation policy; only windows have one."""


@dataclass(frozen=True)
class QueueLength:
    """How much is in a queue."""

    open: int
    """Items that wait for any look."""
    mine: int
    """Open items that this user may get."""
    second: int
    """Open items that wait for the second look."""
    adjudication: int
    """Open items that wait for an adjudicator."""
    leased: int
    """Items that somebody is at work on."""
    done: int
    """Items whose review is complete."""


@dataclass(frozen=True)
class Criteria:
    """What belongs in the queues."""

    second_look: float = 0.1
    """Share of items that a second reviewer looks at, whatever the first one says."""
    random: float = 0.01
    """Share of all segments in the queue `random`."""
    avg_logprob: float = -0.8
    """Segments below are in `low_confidence`."""
    uncovered_speech: float = 1.0
    """Segments with at least so many seconds of speech without words are in `low_coverage`."""
    second_wer: float = 0.3
    """Segments where two recognizers differ at least so much are in `disagreement`."""


def queue_lengths(engine: Engine, user: User, only: QueueFilter | None = None) -> dict[Queue, QueueLength]:
    """Count what is in each queue, but `search`."""
    raise NotImplementedError


def refresh_queues(engine: Engine, criteria: Criteria | None = None, batches: Collection[str] | None = None) -> int:
    """Queue the items of batches that were loaded since, or with other criteria.

    The application calls it every few seconds; whoever loads batches or restores decisions may do so at once.

    Args:
        engine: engine of the catalog.
        criteria: what belongs in the queues; the defaults if it is None.
        batches: batches to queue again in any case.

    Returns:
        Number of batches that were queued.
    """
    raise NotImplementedError
