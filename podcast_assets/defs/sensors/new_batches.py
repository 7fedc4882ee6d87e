"""Sensor that requests a run for every new or changed batch under `incoming/`."""

import functools
import json
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

import dagster as dg

from podcast_assets.config.settings import Settings
from podcast_assets.defs.assets.raw_audio import ARRIVAL, raw_audio
from podcast_assets.defs.jobs import JOB
from podcast_assets.defs.partitions import add_batches, busy_batches
from podcast_assets.defs.queue_pause import skip_while_paused
from podcast_assets.defs.redo_guard import HeldBatches, hold_redo
from podcast_assets.defs.resources import StoreResource
from podcast_assets.defs.runs.tags import run_tags
from podcast_assets.intake.arrivals import BatchSighting, Incoming, find_settled, list_incoming

REQUESTS_PER_TICK = 100
"""Maximum number of requested runs: a tick must end within 60 seconds, and more batches can wait for the next one."""

SEARCH_SECONDS = 20.0
"""Time after which a tick stops skipping batches that are already materialized: after a backfill by command there are thousands."""


@dataclass
class Cursor:
    """State of the sensor between ticks."""

    seen: dict[str, BatchSighting] = field(default_factory=dict)
    """Waiting batches: their signatures, and since when these have not changed."""
    requested: dict[str, str] = field(default_factory=dict)
    """Signature of each batch when a run was requested."""

    @classmethod
    def load(cls, text: str | None) -> "Cursor":
        """Parse the cursor of the last tick; None or an empty text, as before the first tick, gives an empty cursor.

        Raises:
            ValueError: the text is not a cursor of this version.
        """
        if not text:
            return cls()
        try:
            data = json.loads(text)
            seen = {b: BatchSighting(str(signature), float(since)) for b, (signature, since) in data["seen"].items()}
            return cls(seen, {b: str(signature) for b, signature in data["requested"].items()})
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"unreadable cursor: {error!r}") from error


@dataclass(frozen=True)
class Tick:
    """Result of a tick."""

    requests: dict[str, str]
    """Batches to request runs for, with their signatures."""
    changed: list[str]
    """Requested batches that had a run with other content before."""
    cursor: Cursor

    def without_materialized(self, known: Mapping[str, str]) -> "Tick":
        """Drop requests for batches that are materialized with the same signature, and mark those with another one as changed.

        Args:
            known: signatures of materialized batches.
        """
        return replace(
            self,
            requests={b: s for b, s in self.requests.items() if known.get(b) != s},
            changed=[b for b, s in self.requests.items() if b in self.changed or known.get(b, s) != s],
        )


def known_arrivals(instance: dg.DagsterInstance, batches: Sequence[str]) -> dict[str, str]:
    """Return the signature of each batch at its latest materialization, whether the sensor, the UI or a command started it."""
    if not batches:
        return {}
    records = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=raw_audio.key, asset_partitions=list(batches)), limit=10 * len(batches)
    ).records
    known: dict[str, str] = {}
    for record in records:  # latest first
        signature = record.asset_materialization.metadata.get(ARRIVAL) if record.asset_materialization else None
        if record.partition_key is not None and signature is not None:
            known.setdefault(record.partition_key, str(signature.value))
    return known


def plan_tick(
    incoming: Incoming,
    cursor: Cursor,
    *,
    now: float,
    minimum_age: float,
    busy: Collection[str] = (),
    require_ready: bool = False,
) -> Tick:
    """Decide which runs to request. Without access to the store or the instance, so that tests can use plain values.

    Args:
        incoming: the current listing.
        cursor: state after the last tick.
        now: time of the listing, POSIX seconds.
        minimum_age: seconds without a change after which a batch is ready.
        busy: batches with unfinished runs, which have to wait.
        require_ready: whether folders need a marker.
    """
    unknown = Incoming(
        {b: a for b, a in incoming.arrivals.items() if cursor.requested.get(b) != a.signature}, incoming.refused
    )
    found = find_settled(unknown, cursor.seen, now=now, minimum_age=minimum_age, require_ready=require_ready)
    chosen = sorted(set(found.ready).difference(busy))[:REQUESTS_PER_TICK]
    requests = {b: found.ready[b].signature for b in chosen}
    later = {b: s for b, s in found.ready.items() if b not in requests}
    return Tick(
        requests=requests,
        changed=[b for b in requests if b in cursor.requested],
        cursor=Cursor(seen=found.waiting | later, requested=cursor.requested | requests),
    )


@dg.sensor(
    job_name=JOB,
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Requests a run for every batch under incoming/ that is complete, and another one when a batch changes.",
)
def new_batches(
    context: dg.SensorEvaluationContext, store: StoreResource, settings: dg.ResourceParam[Settings]
) -> dg.SensorResult | dg.SkipReason:
    """Request a run for every new or changed batch. A failed listing fails the tick and is never taken for an empty one."""
    if paused := skip_while_paused(context.instance):
        return paused
    incoming = list_incoming(store.get())
    for name, reason in incoming.refused.items():
        context.log.warning(f"incoming/{name}: {reason}")
    try:
        cursor = Cursor.load(context.cursor)
    except ValueError as error:
        context.log.warning(f"{error}; starting with an empty cursor, batches that are materialized do not run again")
        cursor = Cursor()
    # batches that no earlier tick has seen can only be ready if a marker declares them complete
    declared = any(a.is_declared and cursor.requested.get(b) != a.signature for b, a in incoming.arrivals.items())
    busy = busy_batches(context.instance) if cursor.seen or declared else set[str]()
    held = HeldBatches()
    started, searching = time.time(), True
    tick = Tick({}, [], cursor)
    while searching:
        plan = functools.partial(
            plan_tick,
            incoming,
            tick.cursor,
            now=started,
            minimum_age=settings.settle_seconds,
            require_ready=settings.require_ready,
        )
        while True:  # what is held waits as busy batches do, and keeps no other batch waiting
            in_time = time.time() - started < SEARCH_SECONDS
            tick = plan(busy=busy if in_time else incoming.arrivals.keys())
            searching = len(tick.requests) == REQUESTS_PER_TICK and in_time
            tick = tick.without_materialized(known_arrivals(context.instance, list(tick.requests)))
            found = hold_redo(context.instance, settings, store.get(), list(tick.requests))
            if not found.batches:
                break
            held, busy = found, busy | found.batches
        searching = searching and not tick.requests
    if held.message and tick.requests:
        context.log.warning(held.message)
    for batch in tick.changed:
        context.log.info(f"batch {batch} has changed and runs again; unchanged episodes are not processed again")
    if tick.requests:
        # one statement for all batches: a dynamic partitions request queries the database for each partition
        add_batches(context.instance, list(tick.requests))
    new_cursor = json.dumps(asdict(tick.cursor))
    if not tick.requests:
        context.update_cursor(new_cursor)
        waiting = ", ".join(sorted(tick.cursor.seen)[:10])
        return dg.SkipReason(
            held.message or f"waiting for batches to stop changing and for their runs to end: {waiting}"
            if waiting
            else "nothing new under incoming/"
        )
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(run_key=f"{batch}:{signature}", partition_key=batch, tags=run_tags("sensor", settings))
            for batch, signature in tick.requests.items()
        ],
        cursor=new_cursor,
    )
