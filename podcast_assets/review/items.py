"""Items: everything that the page shows of what is reviewed."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, select

from podcast_assets.catalog.tables import CONTENT_FLAGS, DECISIONS, EPISODES, FAILURES, SCORES, SEGMENTS
from podcast_assets.review import settling
from podcast_assets.review.errors import ItemGone
from podcast_assets.review.facts import Facts, read_facts
from podcast_assets.review.item_words import Word as Word
from podcast_assets.review.item_words import read_words
from podcast_assets.review.records import Effective, make_decision
from podcast_assets.review.refs import ItemRef
from podcast_assets.review.roles import User
from podcast_assets.store.store import Store


@dataclass(frozen=True)
class ItemSegment:
    """A segment, as it holds after the decisions so far."""

    segment_id: str
    start: float
    end: float
    speaker: str | None
    """Its label in the episode, `SPEAKER_00`."""
    speaker_name: str | None
    """The name that reviewers gave."""
    overlap: float | None
    text: str | None
    words: tuple[Word, ...]
    second_text: str | None
    reviewed_text: str | None = None
    """The text that reviewers decided on; None where they did not, and in blind reviews."""
    flags: tuple[str, ...] = ()
    scores: Mapping[str, Any] = field(default_factory=dict)
    """Scores by the columns of the catalog's table `scores`; those that are missing are left out."""
    judged: bool = True
    """Whether it belongs to the item; context does not."""


@dataclass(frozen=True)
class ItemLabel:
    """A label of a moderation policy, and what the model said. The latter is None in blind reviews."""

    slug: str
    name: str
    probability: float | None
    threshold: float | None
    verdict: str | None
    reason: str | None = None
    model: str | None = None


@dataclass(frozen=True)
class Failure:
    """Why an episode failed."""

    stage: str
    error_type: str | None
    message: str | None
    traceback: str | None
    permanent: bool | None
    attempts: int | None
    failed_at: datetime.datetime | None


@dataclass(frozen=True)
class Item:
    """What the page shows of an item. Texts are as people said and publishers wrote them: escape them."""

    ref: ItemRef
    start: float
    """Seconds on the episode's clock; 0 for a failure."""
    end: float
    title: str | None
    podcast: str | None
    podcast_title: str | None
    language: str | None
    published_at: datetime.datetime | None
    duration: float | None
    before: tuple[ItemSegment, ...]
    segments: tuple[ItemSegment, ...]
    after: tuple[ItemSegment, ...]
    policy: str | None = None
    policy_version: str | None = None
    policy_hash: str | None = None
    policy_text: str | None = None
    """The policy's Markdown, where the policy is installed here in the version that judged; None otherwise."""
    labels: tuple[ItemLabel, ...] = ()
    failure: Failure | None = None
    blind: bool = False
    """Whether scores, flags and what others decided are left out."""

    def shown(self) -> dict[str, Any]:
        """Return what is kept with a decision as what the reviewer saw: texts, speakers, probabilities, whether blind."""
        segments = [
            {"segment_id": s.segment_id, "text": s.text, "speaker": s.speaker}
            | {
                name: value
                for name in ("speaker_name", "second_text", "reviewed_text")
                if (value := getattr(s, name)) is not None
            }
            for s in self.segments
        ]
        labels = {label.slug: label.probability for label in self.labels}
        return {"blind": self.blind, "segments": segments, "context": [len(self.before), len(self.after)]} | (
            {"probabilities": labels} if labels and not self.blind else {}
        )


def load_item(
    engine: Engine,
    store: Store,
    ref: ItemRef,
    *,
    user: User | None = None,
    blind: bool = False,
    context: int = 3,
    policies: Mapping[str, str] | None = None,
) -> Item:
    """Load an item.

    Args:
        engine: engine of the catalog.
        store: store that the words come from where the catalog has none.
        ref: the item.
        user: who looks at it. Where others decided and he did not, it is blind for him, unless he is an adjudicator.
        blind: leave out scores, flags and what others decided.
        context: number of segments before and after.
        policies: hash of a moderation policy → its Markdown, of those that are known here.

    Raises:
        ItemGone: it is not in the catalog.
    """
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        facts = read_facts(connection, ref)
        episode = _read_episode(connection, ref)
        if episode is None and ref.kind != "failure":
            raise ItemGone("This item is not there any more: it was taken down, or made again.")
        corrections = _read_corrections(connection, ref, facts)
        blind = blind or (user is not None and _is_second(corrections.of_item, user))
        rows, own = _read_segments(connection, ref, context)
        words = read_words(connection, store, ref.batch, ref.episode_id, [row["segment_id"] for row in rows])
        scores = {} if blind else _read_scores(connection, ref.batch, own)
        labels = _read_labels(connection, ref, facts, blind)
        failure = _read_failure(connection, ref)
    segments = [
        _make_segment(row, words.get(row["segment_id"], ()), scores, corrections, own, blind=blind) for row in rows
    ]
    judged = [number for number, segment in enumerate(segments) if segment.judged]
    first, last = (judged[0], judged[-1] + 1) if judged else (0, 0)
    about = episode or {}
    return Item(
        ref=ref,
        start=facts.start,
        end=facts.end,
        title=about.get("title"),
        podcast=about.get("podcast"),
        podcast_title=about.get("podcast_title"),
        language=about.get("language"),
        published_at=about.get("published_at"),
        duration=about.get("duration"),
        before=tuple(segments[:first]),
        segments=tuple(segments[first:last]),
        after=tuple(segments[last:]),
        policy=facts.policy,
        policy_version=facts.policy_version,
        policy_hash=facts.policy_hash,
        policy_text=(policies or {}).get(facts.policy_hash or ""),
        labels=labels,
        failure=failure,
        blind=blind,
    )


def load_items(engine: Engine, store: Store, refs: Sequence[ItemRef]) -> list[Item]:
    """Load items that exist, without context, for lists and exports."""
    found = []
    for ref in refs:
        try:
            found.append(load_item(engine, store, ref, context=0))
        except ItemGone:
            continue
    return found


@dataclass(frozen=True)
class _Corrections:
    """What reviewers said, as far as an item shows it."""

    of_item: Sequence[Effective]
    texts: Mapping[str, str]
    speakers: Mapping[str, str]
    """Segment → the label of the speaker that it was given to."""
    names: Mapping[str, str]
    """Speaker's label → name."""


def _is_second(of_item: Sequence[Effective], user: User) -> bool:
    """Whether others have judged the item, and the user has not."""
    judged = [e for e in of_item if e.action in settling.JUDGING]
    return bool(judged) and not user.may("adjudicator") and all(user.name not in e.reviewers for e in judged)


def _read_episode(connection: Connection, ref: ItemRef) -> RowMapping | None:
    c = EPISODES.c
    query = select(c.title, c.podcast, c.podcast_title, c.language, c.published_at, c.duration)
    found = query.where(c.batch == ref.batch, c.episode_id == ref.episode_id)
    return connection.execute(found).mappings().first()


def _read_corrections(connection: Connection, ref: ItemRef, facts: Facts) -> _Corrections:
    c = DECISIONS.c
    ours = (c.batch == ref.batch) & (c.episode_id == ref.episode_id)
    rows = list(connection.execute(select(DECISIONS).where(ours)).mappings())
    if facts.podcast is not None:
        of_podcast = (c.action == "rename_speaker") & (c.value["podcast"].astext == facts.podcast)
        elsewhere = list(connection.execute(select(DECISIONS).where(of_podcast, ~ours)).mappings())
        undone = c.undoes.in_([row["decision_id"] for row in elsewhere])
        rows += elsewhere + (list(connection.execute(select(DECISIONS).where(undone)).mappings()) if elsewhere else [])
    decisions = sorted(map(make_decision, rows), key=lambda d: (d.decided_at, d.decision_id))
    held = settling.settle(decisions)
    here = [e for e in held if (e.ref.batch, e.ref.episode_id) == (ref.batch, ref.episode_id)]
    names: dict[str, str | None] = {}
    for scope in ("podcast", "episode"):  # the narrower one takes precedence
        names |= {
            e.value["speaker"]: e.value["name"]
            for e in held
            if e.action == "rename_speaker" and e.value["scope"] == scope
        }
    return _Corrections(
        of_item=[e for e in here if e.ref == ref],
        texts={e.ref.item_id: e.value["text"] for e in here if e.action == "text"},
        speakers={e.ref.item_id: e.value for e in here if e.action == "reassign"},
        names={speaker: name for speaker, name in names.items() if name},
    )


def _read_segments(connection: Connection, ref: ItemRef, context: int) -> tuple[Sequence[RowMapping], set[str]]:
    """Segments of an item and its context, in order, and the ids of its own."""
    c, flags = SEGMENTS.c, CONTENT_FLAGS.c
    if ref.kind == "failure":
        return [], set()
    own: set[str] = {ref.item_id}
    if ref.kind == "window":
        policy, window = ref.policy_and_window
        ours = (flags.batch == ref.batch) & (flags.episode_id == ref.episode_id)
        ids = select(flags.segment_ids).where(ours, flags.policy == policy, flags.window == window).limit(1)
        own = set(connection.scalar(ids) or ())
    ours = (c.batch == ref.batch) & (c.episode_id == ref.episode_id)
    places = connection.scalars(select(c.segment_index).where(ours, c.segment_id.in_(own))).all()
    if not places:
        return [], own
    near = c.segment_index.between(min(places) - context, max(places) + context)
    return connection.execute(select(SEGMENTS).where(ours, near).order_by(c.segment_index)).mappings().all(), own


def _read_scores(connection: Connection, batch: str, segment_ids: set[str]) -> dict[str, dict[str, Any]]:
    c = SCORES.c
    rows = connection.execute(select(SCORES).where(c.batch == batch, c.segment_id.in_(segment_ids))).mappings()
    left_out = ("batch", "segment_id")
    return {r["segment_id"]: {k: v for k, v in r.items() if v is not None and k not in left_out} for r in rows}


def _read_labels(connection: Connection, ref: ItemRef, facts: Facts, blind: bool) -> tuple[ItemLabel, ...]:
    if ref.kind != "window":
        return ()
    c, (policy, window) = CONTENT_FLAGS.c, ref.policy_and_window
    ours = (c.batch == ref.batch) & (c.episode_id == ref.episode_id) & (c.policy == policy) & (c.window == window)
    rows = connection.execute(select(CONTENT_FLAGS).where(ours).order_by(c.label)).mappings()
    hidden = dict.fromkeys(("probability", "verdict", "reason", "model"))
    shown = [r if not blind else {**r, **hidden} for r in rows]
    return tuple(
        ItemLabel(
            r["label"],
            r["label_name"] or r["label"],
            r["probability"],
            r["threshold"],
            r["verdict"],
            r["reason"],
            r["model"],
        )
        for r in shown
    )


def _read_failure(connection: Connection, ref: ItemRef) -> Failure | None:
    if ref.kind != "failure":
        return None
    c = FAILURES.c
    columns = [c[name] for name in Failure.__dataclass_fields__]
    ours = (c.batch == ref.batch) & (c.episode_id == ref.episode_id) & (c.stage == ref.stage)
    row = connection.execute(select(*columns).where(ours)).mappings().first()
    return None if row is None else Failure(**row)


def _make_segment(
    row: RowMapping,
    words: Sequence[Word],
    scores: Mapping[str, Mapping[str, Any]],
    corrections: _Corrections,
    own: set[str],
    *,
    blind: bool,
) -> ItemSegment:
    segment_id = row["segment_id"]
    speaker = corrections.speakers.get(segment_id, row["speaker"])
    return ItemSegment(
        segment_id=segment_id,
        start=row["start"],
        end=row["end"],
        speaker=speaker,
        speaker_name=corrections.names.get(speaker),
        overlap=row["overlap"],
        text=row["text"],
        words=tuple(words),
        second_text=row["second_text"],
        reviewed_text=None if blind else corrections.texts.get(segment_id),
        flags=() if blind else tuple(row["flags"]),
        scores=scores.get(segment_id, {}),
        judged=segment_id in own,
    )
