"""The sensor that requests a run for every batch that has arrived under `incoming/`, and again when it changes."""

import json
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

import dagster as dg

from podcast_assets.config.settings import Settings
from podcast_assets.defs.assets.raw_audio import ARRIVAL, raw_audio
from podcast_assets.defs.jobs import JOB
from podcast_assets.defs.partitions import add_batches, busy_batches
from podcast_assets.defs.resources import StoreResource
from podcast_assets.defs.runs.tags import run_tags
from podcast_assets.intake.arrivals import BatchSighting, Incoming, find_settled, list_incoming

REQUESTS_PER_TICK = 100
"""A tick has 60 seconds; the queue keeps what it is given, so the rest can wait for the next tick."""

LOOKING_SECONDS = 20.0
"""Of a tick, in which it goes on past batches that turn out to be materialized: thousands of them, after a backfill by command."""


@dataclass
class Cursor:
    """What the sensor remembers between ticks."""

    seen: dict[str, BatchSighting] = field(default_factory=dict)
    """Batches that wait: what they look like and since when."""
    requested: dict[str, str] = field(default_factory=dict)
    """Batch → signature with which a run was requested."""

    @classmethod
    def load(cls, text: str | None) -> "Cursor":
        """The cursor of the last tick; an empty one at the first.

        Raises:
            ValueError: it is none that this version writes.
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
    """What a tick does."""

    requests: dict[str, str]
    """Batch → signature of the runs to request."""
    changed: list[str]
    """Those of them that had a run with another content before."""
    cursor: Cursor

    def without(self, known: Mapping[str, str]) -> "Tick":
        """The tick less the batches that were materialized (batch → signature) as they lie there; another signature is a change."""
        return replace(
            self,
            requests={b: s for b, s in self.requests.items() if known.get(b) != s},
            changed=[b for b, s in self.requests.items() if b in self.changed or known.get(b, s) != s],
        )


def known_arrivals(instance: dg.DagsterInstance, batches: Sequence[str]) -> dict[str, str]:
    """Batch → signature with which it was materialized last, whoever started that: a command, a person in the UI, a tick."""
    if not batches:
        return {}
    records = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=raw_audio.key, asset_partitions=list(batches)), limit=10 * len(batches)
    ).records
    known: dict[str, str] = {}
    for record in records:  # the latest first
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
    """Which runs to request, from what lies there and what is remembered; pure, so that its rules can be tested on values.

    A batch that is `busy` in a run that has not ended waits, though it be ready.
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
    description="Finds batches under incoming/ that stopped growing, and requests one run for each; again when one changes.",
)
def new_batches(
    context: dg.SensorEvaluationContext, store: StoreResource, settings: dg.ResourceParam[Settings]
) -> dg.SensorResult | dg.SkipReason:
    """Request a run for every batch that has arrived. A listing that fails is an error of the tick, never an empty listing."""
    incoming = list_incoming(store.get())
    for name, reason in incoming.refused.items():
        context.log.warning(f"incoming/{name}: {reason}")
    try:
        cursor = Cursor.load(context.cursor)
    except ValueError as error:
        context.log.warning(f"{error}: begins anew; what was materialized stays known")
        cursor = Cursor()
    # without a marker nothing is ready that was not seen before
    declared = any(a.is_declared and cursor.requested.get(b) != a.signature for b, a in incoming.arrivals.items())
    busy = busy_batches(context.instance) if cursor.seen or declared else ()
    began, looking = time.time(), True
    tick = Tick({}, [], cursor)
    while looking:
        tick = plan_tick(
            incoming,
            tick.cursor,
            now=began,
            minimum_age=settings.settle_seconds,
            busy=busy,
            require_ready=settings.require_ready,
        )
        looking = len(tick.requests) == REQUESTS_PER_TICK and time.time() - began < LOOKING_SECONDS
        tick = tick.without(known_arrivals(context.instance, list(tick.requests)))
        looking = looking and not tick.requests
    for batch in tick.changed:
        context.log.info(f"batch {batch} has changed: it runs again; episodes that did not change are not done again")
    if tick.requests:
        # one statement for all: a request per partition asks the database once for each
        add_batches(context.instance, list(tick.requests))
    remembered = json.dumps(asdict(tick.cursor))
    if not tick.requests:
        context.update_cursor(remembered)
        waiting = ", ".join(sorted(tick.cursor.seen)[:10])
        return dg.SkipReason(
            f"waiting until they stop growing and have no run: {waiting}" if waiting else "nothing new under incoming/"
        )
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(run_key=f"{batch}:{signature}", partition_key=batch, tags=run_tags("sensor", settings))
            for batch, signature in tick.requests.items()
        ],
        cursor=remembered,
    )
