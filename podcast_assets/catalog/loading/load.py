"""Load batches into the catalog: one transaction per batch, which readers see as a whole or not at all."""

import datetime
import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine, delete, func, insert, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import DataError, IntegrityError

from podcast_assets.catalog.loading.merge import Merged, lock_batch, merge, remove, stage
from podcast_assets.catalog.loading.rows import make_rows
from podcast_assets.catalog.loading.source import SourceTables, TakedownReader, Takedowns, list_versions, read_source
from podcast_assets.catalog.migrate import check_version
from podcast_assets.catalog.search.load import add_phrases
from podcast_assets.catalog.tables import (
    BATCHES,
    DECISIONS,
    EPISODES,
    LEASES,
    QUEUE_ITEMS,
    SAMPLES,
    SCHEMA,
    SEGMENTS,
    TAKEDOWNS,
    quoting_columns,
)
from podcast_assets.common.errors import BadInput, first_line
from podcast_assets.store.store import Store

log = logging.getLogger(__name__)

ADDITIONS: tuple[Callable[[Connection, SourceTables], int], ...] = (add_phrases,)
"""What else is made of a batch's tables, in the same transaction. Each returns the number of its rows that changed."""


@dataclass(frozen=True)
class LoadedBatch:
    """What became of a batch."""

    batch: str
    rows: Mapping[str, int]
    """Table → rows that the batch has now; empty if it left the catalog."""
    merged: Merged
    passed_over: Mapping[str, int]
    """Table → rows that were left out, because what they belong to is missing in the store."""
    taken_down: int
    seconds: float

    @property
    def changed(self) -> int:
        """Rows that were added, changed or removed."""
        return sum(self.merged.added.values()) + sum(self.merged.removed.values())


@dataclass
class LoadResult:
    """What became of all batches."""

    loaded: list[LoadedBatch] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    """Batches that left the store, and so the catalog."""
    unchanged: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    """Batch → why it could not be loaded. What the catalog had of it stays."""


Progress = Callable[[int, int, LoadedBatch | None, str | None], None]
"""Called after each batch with the number of batches done and in all, and the batch or why it failed."""


def load_batch(
    engine: Engine,
    store: Store,
    batch: str,
    *,
    words: bool,
    version: str | None = None,
    takedowns: TakedownReader | None = None,
) -> LoadedBatch:
    """Load a batch as the store has it now, in one transaction. Loading it twice changes nothing.

    Loads of the same batch take turns: the tables are read after the lock is held, so that the newest always wins. A batch without
    `raw_audio` leaves the catalog.

    Args:
        engine: engine of the catalog.
        store: store with the batch.
        batch: the batch.
        words: whether each word gets a row.
        version: version of the batch from `list_versions`; listed if it is None.
        takedowns: reader of takedowns, shared by many batches.

    Raises:
        DamagedTable: a table of the batch is damaged. The catalog keeps what it has.
        Misconfigured: the catalog's tables are of another version, or do not exist.
        OSError: the store cannot be read.
        SQLAlchemyError: the database does not answer, or refuses the rows.
    """
    started = time.monotonic()
    reader = takedowns or TakedownReader(store)
    with engine.begin() as connection:
        check_version(connection)
        lock_batch(connection, batch)
        if version is None:
            # listed before the tables are read: what changes in between is loaded the next time
            version = list_versions(store).get(batch, "")
        found = reader.read()
        source = read_source(store, batch, found)
        _replace_takedowns(connection, found)
        _empty_decisions(connection, batch, source.taken_down)
        if source.table("raw_audio") is None:
            merged = Merged(removed={"segments": remove(connection, batch)})
            return LoadedBatch(batch, {}, merged, {}, 0, time.monotonic() - started)
        rows = make_rows(source, words=words)
        stage(connection, rows.frames)
        values = {"version": version, "words": words, "loaded_at": datetime.datetime.now(datetime.UTC)}
        connection.execute(
            upsert(BATCHES).values(batch=batch, **values).on_conflict_do_update(index_elements=["batch"], set_=values)
        )
        merged = merge(connection, batch, rows.frames)
        for add in ADDITIONS:
            add(connection, source)
    counts = {table.name: frame.height for table, frame in rows.frames.items()}
    return LoadedBatch(batch, counts, merged, rows.passed_over, len(source.taken_down), time.monotonic() - started)


def load_batches(
    engine: Engine,
    store: Store,
    *,
    words: bool,
    batches: Collection[str] | None = None,
    again: bool = False,
    report: Progress = lambda done, total, loaded, error: None,
) -> LoadResult:
    """Load the batches that changed since they were loaded, and remove those that are gone.

    A batch that cannot be loaded does not prevent the others.

    Args:
        engine: engine of the catalog.
        store: store with the batches.
        words: whether each word gets a row.
        batches: the batches to load, changed or not; all if it is None.
        again: load all batches, also unchanged ones.
        report: called after each batch.

    Raises:
        BadInput: a record of a takedown is invalid, or a batch of that name is nowhere.
        Misconfigured: the catalog's tables are of another version, or do not exist.
        SQLAlchemyError: the database does not answer.
    """
    versions = list_versions(store)
    with engine.connect() as connection:
        check_version(connection)
        rows = connection.execute(select(BATCHES.c.batch, BATCHES.c.version, BATCHES.c.words))
        known = {batch: (version, with_words) for batch, version, with_words in rows}
    if batches is None:
        todo = [b for b, version in versions.items() if again or known.get(b) != (version, words)]
        todo += sorted(known.keys() - versions.keys())
    else:
        if unknown := sorted(set(batches) - versions.keys() - known.keys()):
            raise BadInput(f"no batch is named {', '.join(unknown)}: `podcast-assets batches` lists them")
        todo = sorted(set(batches))
    reader = TakedownReader(store)
    remaining = _batches_with(engine, reader.read().places)
    if batches is None:
        todo += [batch for batch in remaining if batch not in todo]
    _load_takedowns(engine, reader)
    result = LoadResult(unchanged=len(versions.keys() - set(todo)) if batches is None else 0)
    for number, batch in enumerate(todo, 1):
        try:
            loaded = load_batch(engine, store, batch, words=words, version=versions.get(batch, ""), takedowns=reader)
        except (BadInput, ValueError, DataError, IntegrityError) as error:
            result.failed[batch] = first_line(error)
            report(number, len(todo), None, f"{batch}: {result.failed[batch]}")
            continue
        if loaded.rows:
            result.loaded.append(loaded)
        else:
            result.removed.append(batch)
        report(number, len(todo), loaded, None)
    if len(todo) > 1:
        _analyze(engine)
    return result


def remove_taken_down(engine: Engine, store: Store, places: Collection[str], *, words: bool) -> int:
    """Remove episodes that were just taken down, at once. Their records must be in the store.

    Args:
        engine: engine of the catalog.
        store: store with the records of takedowns.
        places: `batch/episode_id` of the episodes.
        words: whether each word has a row.

    Returns:
        The number of rows that were removed.

    Raises:
        as `load_batch`.
    """
    reader = TakedownReader(store)
    _load_takedowns(engine, reader)
    found = [load_batch(engine, store, batch, words=words, takedowns=reader) for batch in _batches_with(engine, places)]
    return sum(sum(one.merged.removed.values()) - sum(one.merged.added.values()) for one in found)


def count_segments(engine: Engine, places: Collection[str]) -> int:
    """Count the segments of some episodes (`batch/episode_id`)."""
    place = SEGMENTS.c.batch + "/" + SEGMENTS.c.episode_id
    with engine.connect() as connection:
        check_version(connection)
        return connection.scalar(select(func.count()).select_from(SEGMENTS).where(place.in_(list(places)))) or 0


def _batches_with(engine: Engine, places: Collection[str]) -> list[str]:
    """Batches in which the catalog has one of these episodes (`batch/episode_id`)."""
    if not places:
        return []
    place = EPISODES.c.batch + "/" + EPISODES.c.episode_id
    with engine.connect() as connection:
        check_version(connection)
        query = select(EPISODES.c.batch).where(place.in_(list(places))).distinct().order_by(EPISODES.c.batch)
        return list(connection.scalars(query))


def forget_versions(engine: Engine) -> None:
    """Mark all batches as not loaded, so that the next load loads them all, and one that is interrupted continues."""
    with engine.begin() as connection:
        check_version(connection)
        connection.execute(update(BATCHES).values(version=""))


def _load_takedowns(engine: Engine, reader: TakedownReader) -> None:
    with engine.begin() as connection:
        _replace_takedowns(connection, reader.read())


def _replace_takedowns(connection: Connection, found: Takedowns) -> None:
    """Make the table of takedowns equal to the records, if it is not."""
    columns = [c.name for c in TAKEDOWNS.columns]
    wanted = {row["takedown"]: row for row in found.records.select(columns).to_dicts()}
    known = {row["takedown"]: dict(row) for row in connection.execute(select(TAKEDOWNS)).mappings()}
    if wanted == known:
        return
    connection.execute(text(f"LOCK TABLE {SCHEMA}.{TAKEDOWNS.name} IN SHARE ROW EXCLUSIVE MODE"))
    connection.execute(delete(TAKEDOWNS))
    if wanted:
        connection.execute(insert(TAKEDOWNS), list(wanted.values()))


def _empty_decisions(connection: Connection, batch: str, episodes: Collection[str]) -> None:
    """Remove what reviewers wrote about episodes that were taken down, because it quotes them. Who decided what stays."""
    if not episodes:
        return
    ours = DECISIONS.c.episode_id.in_(list(episodes)) & ((DECISIONS.c.batch == batch) | DECISIONS.c.batch.is_(None))
    for columns, which in (
        (quoting_columns("label"), DECISIONS.c.action == "label"),
        (quoting_columns("text"), DECISIONS.c.action != "label"),
    ):
        filled = or_(*(DECISIONS.c[name].is_not(None) for name in columns))
        connection.execute(update(DECISIONS).where(ours & which & filled).values(dict.fromkeys(columns)))
    for table in (QUEUE_ITEMS, LEASES, SAMPLES):
        connection.execute(delete(table).where((table.c.batch == batch) & table.c.episode_id.in_(list(episodes))))


def _analyze(engine: Engine) -> None:
    """Update the planner's statistics after many batches. Where the user may not, autovacuum does so a little later."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET client_min_messages = error"))
        names = ", ".join(
            f"{SCHEMA}.{name}" for name in ("episodes", "segments", "phrases", "scores", "content_flags", "provenance")
        )
        connection.execute(text(f"ANALYZE {names}"))
