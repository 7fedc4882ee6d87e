"""What reviewers' decisions make of the segments of a batch. No I/O."""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from podcast_assets.review.decisions import Effective, Standing
from podcast_assets.store.schema import make_table
from podcast_assets.store.schema_beside import REVIEWED_SEGMENTS

WEAKEST: tuple[Standing, ...] = ("disputed", "single", "agreed", "adjudicated")
"""Standings from the weakest."""

Window = tuple[str, str, int]
"""Episode, policy and number of a window."""


@dataclass(frozen=True)
class SpeakerName:
    """A name that reviewers gave a speaker."""

    episode_id: str
    speaker: str
    """Its label in the episode."""
    name: str | None
    """None takes an earlier name back."""
    decided_at: datetime.datetime


@dataclass
class _Outcome:
    """What holds of a segment so far."""

    values: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, bool] | None = None
    standings: list[Standing] = field(default_factory=list)
    reviewers: set[str] = field(default_factory=set)
    decided_at: datetime.datetime | None = None

    def note(self, decision: Effective) -> None:
        """Note who decided, and when."""
        self.reviewers.update(decision.reviewers)
        self.decided_at = max(self.decided_at or decision.decided_at, decision.decided_at)


def reviewed_segments(
    decisions: Iterable[Effective],
    segments: pl.DataFrame,
    windows: Mapping[Window, Sequence[str]],
    names: Iterable[SpeakerName] = (),
) -> pl.DataFrame:
    """Make the rows REVIEWED_SEGMENTS of a batch, by segment.

    A window's labels hold for all of its segments, and a segment of several windows has a label if any of them has it. Names go to
    speakers after segments were reassigned. Decisions about segments and windows that are not there any more count for nothing.

    Args:
        decisions: what holds, from `decisions.effective`.
        segments: `episode_id`, `segment_id` and `speaker` of the batch.
        windows: window → ids of its segments.
        names: names that speakers have from decisions about their whole podcast. The newest name of a speaker counts.
    """
    speakers = {s: (e, speaker) for e, s, speaker in segments.select("episode_id", "segment_id", "speaker").iter_rows()}
    found: dict[str, _Outcome] = {}
    given = list(names)
    for decision in sorted(decisions, key=lambda one: one.decided_at):
        value = decision.value if isinstance(decision.value, Mapping) else {}
        if decision.action == "rename_speaker" and value.get("scope") != "podcast":
            given.append(
                SpeakerName(
                    decision.ref.episode_id, str(value.get("speaker")), value.get("name") or None, decision.decided_at
                )
            )
        for segment in _segments_of(decision, windows):
            if segment in speakers:
                outcome = found.setdefault(segment, _Outcome())
                _apply(outcome, decision)
                outcome.note(decision)
    _name_speakers(found, speakers, given)
    rows = [
        _row(speakers[segment][0], segment, outcome)
        for segment, outcome in sorted(found.items())
        if outcome.values or outcome.standings
    ]
    return make_table(rows, REVIEWED_SEGMENTS)


def _segments_of(decision: Effective, windows: Mapping[Window, Sequence[str]]) -> Sequence[str]:
    """Ids of the segments that a decision changes; names are given to speakers instead."""
    if decision.action == "label":
        if decision.ref.kind != "window":
            return [decision.ref.item_id]
        policy, window = decision.ref.policy_and_window
        return windows.get((decision.ref.episode_id, policy, window), ())
    return [decision.ref.item_id] if decision.action in ("text", "reassign", "split", "join") else ()


def _apply(outcome: _Outcome, decision: Effective) -> None:
    value = decision.value if isinstance(decision.value, Mapping) else {}
    if decision.action == "label":
        label = f"{decision.policy}/{decision.label}"
        outcome.labels = outcome.labels or {}
        outcome.labels[label] = outcome.labels.get(label, False) or decision.value is True
        outcome.standings.append(decision.standing)
    elif decision.action == "text" and isinstance(value.get("text"), str):
        outcome.values |= {"text_reviewed": value["text"], "words_reviewed": _words(value.get("words"))}
        outcome.standings.append(decision.standing)
    elif decision.action == "reassign":
        outcome.values["speaker_reviewed"] = decision.value  # of one segment, it is the label
    elif decision.action == "split":
        outcome.values |= {"split_at": value.get("at"), "split_speakers": value.get("speakers")}
    elif decision.action == "join":
        outcome.values["joined"] = True


def _words(words: object) -> list[dict[str, Any]] | None:
    if not isinstance(words, list):
        return None
    return [
        {k: word.get(k) for k in ("word", "start", "end", "probability")} for word in words if isinstance(word, Mapping)
    ]


def _name_speakers(
    found: dict[str, _Outcome], speakers: Mapping[str, tuple[str, str | None]], names: Iterable[SpeakerName]
) -> None:
    newest: dict[tuple[str, str], SpeakerName] = {}
    for one in sorted(names, key=lambda name: name.decided_at):
        newest[one.episode_id, one.speaker] = one
    for segment, (episode, original) in speakers.items():
        outcome = found.get(segment)
        speaker = (outcome and outcome.values.get("speaker_reviewed")) or original
        name = newest.get((episode, speaker)) if speaker else None
        if name is not None and name.name is not None:
            outcome = found.setdefault(segment, _Outcome())
            outcome.values["speaker_name"] = name.name
            outcome.decided_at = max(outcome.decided_at or name.decided_at, name.decided_at)


def _row(episode: str, segment: str, outcome: _Outcome) -> dict[str, Any]:
    values = outcome.values
    flags = [name for name, key in (("split", "split_at"), ("joined", "joined")) if values.get(key) is not None]
    return {
        "episode_id": episode,
        "segment_id": segment,
        "reviewed": bool(outcome.standings),
        "review_standing": min(outcome.standings, key=WEAKEST.index) if outcome.standings else None,
        "text_reviewed": values.get("text_reviewed"),
        "review_labels": None if outcome.labels is None else sorted(n for n, holds in outcome.labels.items() if holds),
        "speaker_reviewed": values.get("speaker_reviewed"),
        "speaker_name": values.get("speaker_name"),
        "review_flags": flags or None,
        "words_reviewed": values.get("words_reviewed"),
        "split_at": values.get("split_at"),
        "split_speakers": values.get("split_speakers"),
        "reviewers": len(outcome.reviewers),
        "decided_at": outcome.decided_at,
    }
