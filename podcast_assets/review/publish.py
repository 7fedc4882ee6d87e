"""Decisions from the catalog to the store: every decision, what holds of each segment, and transcripts with it.

Only batches with new decisions are written. A digest of each batch's decisions, which is kept beside what was written, tells which
those are, so that a lost or interrupted export is made again and nothing depends on clocks.
"""

import hashlib
import json
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

import polars as pl
from sqlalchemy import Connection, Engine, func, select

from podcast_assets.catalog.loading.source import TakedownReader
from podcast_assets.catalog.migrate import check_version
from podcast_assets.catalog.tables import CONTENT_FLAGS, DECISIONS, SEGMENTS
from podcast_assets.review.decision_rows import decision_table
from podcast_assets.review.decisions import Decision, effective, read_decisions
from podcast_assets.review.outcome import SpeakerName, Window, reviewed_segments
from podcast_assets.review.reviewed_transcripts import render_reviewed
from podcast_assets.speech import voices
from podcast_assets.speech.linking import LINKED
from podcast_assets.store.commits import CommittedTable
from podcast_assets.store.review_tables import (
    FOLDER,
    TRANSCRIPTS,
    decisions_key,
    reviewed_key,
    reviewed_transcript_key,
    write_if_changed,
)
from podcast_assets.store.schema import empty_table
from podcast_assets.store.schema_beside import REVIEW_DECISIONS, REVIEWED_SEGMENTS
from podcast_assets.store.store import DamagedTable, Store

log = logging.getLogger(__name__)

LOCK = "_reviews"
"""Name of the lock; not a valid batch name."""
INDEX = f"{FOLDER}/published.json"
"""Batch → digest of the decisions that were published."""
_FORMAT = 1
"""Raise it when the same decisions give other tables: then everything is published again."""


@dataclass
class PublishedReviews:
    """What was written to the store."""

    batches: list[str] = field(default_factory=list)
    """Batches with new decisions."""
    changed: list[str] = field(default_factory=list)
    """Those of them whose segments hold anything else now: the catalog is to load them again."""
    unchanged: int = 0
    """Number of batches without new decisions."""
    decisions: int = 0
    segments: int = 0
    """Segments of these batches that anything was decided of."""
    transcripts: int = 0
    """Files that were written."""
    without_place: int = 0
    """Decisions that name no batch, which belong nowhere in the store."""
    failed: dict[str, str] = field(default_factory=dict)
    """Batch → why it could not be published; it is tried again."""


def publish_reviews(
    engine: Engine, store: Store, *, again: bool = False, report: Callable[[str], None] = lambda batch: None
) -> PublishedReviews:
    """Publish the decisions of all batches that have new ones. A batch that cannot be published does not prevent the others.

    Args:
        engine: engine of the catalog.
        store: store with the batches.
        again: publish all batches.
        report: called with each batch that was published.

    Raises:
        BadInput: a record of a takedown is invalid.
        Misconfigured: the catalog's tables are of another version, or do not exist.
        StoreTrouble: the store is full, read-only or cannot be reached.
        SQLAlchemyError: the database does not answer.
    """
    with store.batch_lock(LOCK):
        renames = _podcast_renames(engine, store)
        digests = _digests(engine, renames)
        done = PublishedReviews(without_place=_count_without_place(engine))
        known = {} if again else _read_index(store)
        takedowns = TakedownReader(store)
        for batch, digest in digests.items():
            if known.get(batch) == digest:
                done.unchanged += 1
                continue
            try:
                _publish_batch(engine, store, batch, renames.get(batch, ()), takedowns, done)
            except (DamagedTable, ValueError) as error:
                done.failed[batch] = str(error)
                log.warning("batch %s: reviews were not published: %s", batch, error)
                continue
            known = {**_read_index(store), batch: digest}
            store.write(INDEX, json.dumps(known, indent=1, sort_keys=True).encode())
            done.batches.append(batch)
            report(batch)
    return done


def decisions_digest(engine: Engine) -> str:
    """Digest of all decisions: it changes with every new one, and when a takedown empties texts. Cheap enough for a sensor."""
    return hashlib.sha256(json.dumps(_digests(engine, {}), sort_keys=True).encode()).hexdigest()[:16]


def _digests(engine: Engine, renames: Mapping[str, Collection[SpeakerName]]) -> dict[str, str]:
    c = DECISIONS.c
    counted = select(c.batch, func.count(), func.max(c.decided_at), func.count(c.value), func.count(c.note))
    with engine.connect() as connection:
        check_version(connection)
        rows = connection.execute(counted.where(c.batch.is_not(None)).group_by(c.batch)).all()
    facts = {batch: [str(fact) for fact in row] for batch, *row in rows}
    names = {batch: sorted(repr(name) for name in given) for batch, given in renames.items()}
    return {
        batch: hashlib.sha256(
            json.dumps([_FORMAT, facts.get(batch), names.get(batch, [])], sort_keys=True).encode()
        ).hexdigest()[:16]
        for batch in sorted(facts.keys() | names.keys())
    }


def _read_index(store: Store) -> dict[str, str]:
    if not store.exists(INDEX):
        return {}
    try:
        found = json.loads(store.read(INDEX))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _count_without_place(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).where(DECISIONS.c.batch.is_(None))) or 0


def _publish_batch(
    engine: Engine,
    store: Store,
    batch: str,
    names: Collection[SpeakerName],
    takedowns: TakedownReader,
    done: PublishedReviews,
) -> None:
    """Publish a batch, and again if an episode of it was taken down meanwhile."""
    while True:
        gone = _taken_down(takedowns, batch)
        decisions = decision_table(_without(read_decisions(engine, batch=batch), gone))
        with engine.connect() as connection:
            segments = _read_segments(connection, batch, gone)
            windows = _read_windows(connection, batch, gone)
        held = [one for one in effective(engine, batch=batch) if one.ref.episode_id not in gone]
        reviewed = reviewed_segments(held, segments, windows, names)
        write_if_changed(store, decisions_key(batch), decisions, REVIEW_DECISIONS)
        if write_if_changed(store, reviewed_key(batch), reviewed, REVIEWED_SEGMENTS) and batch not in done.changed:
            done.changed.append(batch)
        written = _write_transcripts(store, batch, reviewed)
        if _taken_down(takedowns, batch) == gone:
            break
    done.decisions += decisions.height
    done.segments += reviewed.height
    done.transcripts += written


def _taken_down(takedowns: TakedownReader, batch: str) -> frozenset[str]:
    """Ids of the batch's episodes that were taken down."""
    places = (place.split("/", 1) for place in takedowns.read().places)
    return frozenset(episode for of, episode in places if of == batch)


def _without(decisions: Iterator[Decision], episodes: Collection[str]) -> Iterator[Decision]:
    return (decision for decision in decisions if decision.ref.episode_id not in episodes)


def _read_segments(connection: Connection, batch: str, gone: Collection[str]) -> pl.DataFrame:
    c = SEGMENTS.c
    rows = connection.execute(select(c.episode_id, c.segment_id, c.speaker).where(c.batch == batch)).all()
    schema = {"episode_id": pl.String, "segment_id": pl.String, "speaker": pl.String}
    return pl.DataFrame([tuple(row) for row in rows if row.episode_id not in gone], schema=schema, orient="row")


def _read_windows(connection: Connection, batch: str, gone: Collection[str]) -> dict[Window, list[str]]:
    c = CONTENT_FLAGS.c
    rows = connection.execute(select(c.episode_id, c.policy, c.window, c.segment_ids).where(c.batch == batch))
    return {(e, policy, window): segments for e, policy, window, segments in rows if e not in gone}


def _write_transcripts(store: Store, batch: str, reviewed: pl.DataFrame) -> int:
    """Write the transcripts of episodes with reviewed segments, and remove those of others."""
    files: dict[str, bytes] = {}
    if reviewed.height:
        audio, segments, texts = (
            CommittedTable.read(store, asset, batch) for asset in ("raw_audio", "diarized_segments", "transcripts")
        )
        if texts.table is not None and segments.table is not None:
            columns = [c for c in segments.rows.columns if c not in texts.rows.columns]
            rows = texts.rows.join(
                segments.rows.select("segment_id", *columns), on="segment_id", how="inner", maintain_order="left"
            )
            episodes = {row["episode_id"]: row for row in audio.rows.iter_rows(named=True)}
            for (episode,), decided in reviewed.partition_by("episode_id", as_dict=True).items():
                spoken = rows.filter(pl.col("episode_id") == episode)
                if episode in episodes and spoken.height:
                    made = render_reviewed(episodes[episode], spoken, decided)
                    files |= {f"{episode}.{suffix}": content.encode() for suffix, content in made.items()}
    store.write_all(
        (reviewed_transcript_key(batch, *name.split(".", 1)), content)
        for name, content in files.items()  # type: ignore[misc]
    )
    for name in sorted(store.names(f"{TRANSCRIPTS}/{batch}").difference(files)):
        store.remove(f"{TRANSCRIPTS}/{batch}/{name}")
    return len(files)


def _podcast_renames(engine: Engine, store: Store) -> dict[str, list[SpeakerName]]:
    """Batch → names that speakers have from a decision about their whole podcast, in every episode where the voice is linked.

    Labels are valid inside an episode only, so that a name for the whole podcast follows the voice (`podcast-assets speakers`).
    """
    c = DECISIONS.c
    undoing = DECISIONS.alias()
    query = (
        select(c.batch, c.episode_id, c.value, c.decided_at)
        .where(c.action == "rename_speaker", c.value["scope"].astext == "podcast", c.batch.is_not(None))
        .where(~select(undoing.c.decision_id).where(undoing.c.undoes == c.decision_id).exists())
    )
    with engine.connect() as connection:
        check_version(connection)
        renames = connection.execute(query).all()
    if not renames:
        return {}
    found: dict[str, list[SpeakerName]] = defaultdict(list)
    linked = store.read_table(voices.KEY, LINKED)
    linked = empty_table(LINKED) if linked is None else linked
    voice_of = {(b, e, s): (p, v) for b, e, s, p, v in linked.select(_VOICE).drop_nulls("voice").iter_rows()}
    speakers: dict[tuple[str, str], list[tuple[str, str, str]]] = defaultdict(list)
    for place, voice in voice_of.items():
        speakers[voice].append(place)
    for batch, episode, value, decided_at in renames:
        own = (batch, episode, str(value.get("speaker")))
        for to_batch, to_episode, speaker in speakers.get(voice_of.get(own, ("", "")), [own]):
            found[to_batch].append(SpeakerName(to_episode, speaker, value.get("name") or None, decided_at))
    return found


_VOICE = ("batch", "episode_id", "speaker", "podcast", "voice")
