"""What starts work by itself."""

import json
import time
from dataclasses import asdict, dataclass, field

import dagster as dg

from podcast_assets.intake.arrivals import Incoming, list_incoming, settled
from podcast_assets.jobs import podcast_dataset
from podcast_assets.partitions import BATCHES
from podcast_assets.resources import StoreResource
from podcast_assets.settings import Settings

REQUESTS_PER_TICK = 100
"""A tick has 60 seconds; the queue keeps what it is given, so the rest can wait for the next tick."""

RUN_TAGS = {"podcast/source": "sensor", "podcast/gpu": "1", "dagster/priority": "10"}
"""Tags for policy: where a run comes from, that it wants a GPU, and that new batches go before backfills (priority 0)."""


@dataclass
class Cursor:
    """What the sensor remembers between ticks."""

    seen: dict[str, str] = field(default_factory=dict)
    """Batch → signature at the last look, of those that may still grow."""
    requested: dict[str, str] = field(default_factory=dict)
    """Batch → signature with which a run was requested."""

    @classmethod
    def load(cls, text: str | None) -> "Cursor":
        """The cursor of the last tick; an empty one at the first."""
        return cls(**json.loads(text)) if text else cls()


@dataclass(frozen=True)
class Tick:
    """What a tick does."""

    requests: dict[str, str]
    """Batch → signature of the runs to request."""
    changed: list[str]
    """Those of them that had a run with another content before."""
    cursor: Cursor


def plan_tick(incoming: Incoming, cursor: Cursor, *, now: float, minimum_age: float) -> Tick:
    """Which runs to request, from what lies there and what is remembered; pure, so that its rules can be tested on values."""
    unknown = Incoming(
        {b: a for b, a in incoming.arrivals.items() if cursor.requested.get(b) != a.signature}, incoming.refused
    )
    found = settled(unknown, cursor.seen, now=now, minimum_age=minimum_age)
    requests = dict(sorted(found.ready.items())[:REQUESTS_PER_TICK])
    later = {b: s for b, s in found.ready.items() if b not in requests}
    return Tick(
        requests=requests,
        changed=[b for b in requests if b in cursor.requested],
        cursor=Cursor(seen=found.waiting | later, requested=cursor.requested | requests),
    )


@dg.sensor(
    job=podcast_dataset,
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Finds batches under incoming/ that stopped growing, and requests one run for each; again when one changes.",
)
def new_batches(context: dg.SensorEvaluationContext, store: StoreResource) -> dg.SensorResult | dg.SkipReason:
    """Request a run for every batch that has arrived. A listing that fails is an error of the tick, never an empty listing."""
    incoming = list_incoming(store.get())
    for name, reason in incoming.refused.items():
        context.log.warning(f"incoming/{name}: {reason}")
    tick = plan_tick(incoming, Cursor.load(context.cursor), now=time.time(), minimum_age=Settings().settle_seconds)
    for batch in tick.changed:
        context.log.info(f"batch {batch} has changed: it runs again; episodes that did not change are not done again")
    if tick.requests:
        # one statement for all: a request per partition asks the database once for each
        context.instance.add_dynamic_partitions(BATCHES, list(tick.requests))
    cursor = json.dumps(asdict(tick.cursor))
    if not tick.requests:
        context.update_cursor(cursor)
        waiting = ", ".join(sorted(tick.cursor.seen)[:10])
        return dg.SkipReason(f"waiting until it stops growing: {waiting}" if waiting else "nothing new under incoming/")
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(run_key=f"{batch}:{signature}", partition_key=batch, tags=RUN_TAGS)
            for batch, signature in tick.requests.items()
        ],
        cursor=cursor,
    )
