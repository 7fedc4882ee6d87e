"""Cost of a sensor tick and of the UI's pages with many batches.

    python -m benchmarks.dagster_scale [--batches 1000 10000 100000] [--rounds 3] [--postgres URL]

The store has that many small archives under incoming/, all materialized partitions in a fresh Dagster instance (SQLite, or the
empty PostgreSQL database of `postgresql+psycopg2://…`). Materialization events are bulk copies of one real event, with filler of
--event-bytes in place of pictures.

- tick: `new_batches` as the daemon calls it (15 s apart, 60 s at most), with its own cursor. "idle": nothing is new;
  "100 new": as many as a tick takes; "no cursor": the first tick after the cursor was lost, which only observes.
- UI: GraphQL queries of a running dagster-webserver, as sent by its page of an asset: the bar of partitions
  (PartitionHealthQuery), one partition (AssetPartitionDetailQuery), the newest ones (LatestAssetPartitionsQuery). The first answer
  fills Dagster's cache; then the median of the rounds.

CPU seconds of the process, and wall time, which also depends on the load of the machine.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from podcast_assets.config.settings import Settings
from podcast_assets.defs.assets.raw_audio import ARRIVAL
from podcast_assets.defs.build import build_definitions
from podcast_assets.defs.instance import project_file
from podcast_assets.defs.partitions import BATCHES
from podcast_assets.defs.sensors.new_batches import REQUESTS_PER_TICK, new_batches
from podcast_assets.intake.arrivals import list_incoming
from podcast_assets.store.schema import ASSETS
from podcast_assets.store.store import Store
from podcast_assets_tests.waiting import free_port, wait_for, webserver_answers

WORKSPACE = str(project_file("workspace.yaml"))
_KEY = "$key: AssetKeyInput!"
QUERIES = {
    "PartitionHealthQuery": f"""query ({_KEY}) {{ assetNodeOrError(assetKey: $key) {{ ... on AssetNode {{ id
        partitionKeysByDimension {{ name type partitionKeys }}
        assetPartitionStatuses {{ ... on DefaultPartitionStatuses {{
            materializedPartitions materializingPartitions failedPartitions }} }} }} }} }}""",
    "AssetPartitionDetailQuery": f"""query ({_KEY}, $partition: String!) {{ assetOrError(assetKey: $key) {{ ... on Asset {{ id
        definition {{ id opNames latestRunForPartition(partition: $partition) {{ id status endTime }} }}
        assetEventHistory(partitions: [$partition] limit: 1000
            eventTypeSelectors: [MATERIALIZATION, OBSERVATION, FAILED_TO_MATERIALIZE]) {{
            results {{ ... on MaterializationEvent {{ runId timestamp partition metadataEntries {{ label }} }} }} }} }} }} }}""",
    "LatestAssetPartitionsQuery": f"""query ({_KEY}) {{ assetNodeOrError(assetKey: $key) {{ ... on AssetNode {{ id
        partitionKeyConnection(limit: 100, ascending: false) {{ results }} }} }} }}""",
}


Durations = tuple[float, float]
"""CPU and wall time in seconds."""


def timed(work: Callable[[], object], cpu: Callable[[], float] = time.process_time) -> Durations:
    start = cpu(), time.perf_counter()
    work()
    return cpu() - start[0], time.perf_counter() - start[1]


def median(each: Iterable[Durations]) -> Durations:
    cpu, wall = zip(*each, strict=True)
    return statistics.median(cpu), statistics.median(wall)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, nargs="*", default=[1000, 10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--event-bytes", type=int, default=20_000)
    parser.add_argument("--postgres")
    arguments = parser.parse_args()
    print("| batches | operation | CPU s | wall s |\n|---|---|---|---|")
    for count in arguments.batches:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["DAGSTER_HOME"] = f"{folder}/dagster_home"
            os.environ["PODCAST_STORE"] = f"{folder}/store"
            measure(Path(folder), count, arguments)


def measure(folder: Path, count: int, arguments: argparse.Namespace) -> None:
    def print_row(label: str, durations: Durations) -> None:
        print(f"| {count:,} | {label} | {durations[0]:.2f} | {durations[1]:.2f} |", flush=True)

    configure(folder / "dagster_home", arguments.postgres)
    names = [f"batch-{i:06d}" for i in range(count)]
    incoming = folder / "store" / "incoming"
    incoming.mkdir(parents=True)
    for name in names:
        (incoming / f"{name}.tar").write_bytes(b"x")
    with dg.DagsterInstance.get() as instance:
        fill(instance, Store.at(folder / "store"), names, arguments.event_bytes)
        ticks(instance, folder / "store", print_row, arguments.rounds)
    with webserver() as (ask, cpu):
        for name, query in QUERIES.items():
            variables = {"key": {"path": ["raw_audio"]}, "partition": names[count // 2]}
            if "$partition" not in query:
                del variables["partition"]
            print_row(f"UI: {name}, first", timed(lambda q=query, v=variables: ask(q, v), cpu))
            again = [timed(lambda q=query, v=variables: ask(q, v), cpu) for _ in range(arguments.rounds)]
            print_row(f"UI: {name}", median(again))


def configure(home: Path, postgres: str | None) -> None:
    """Write the project's dagster.yaml, with another database if one is given."""
    home.mkdir(parents=True)
    config = yaml.safe_load(project_file("dagster.yaml").read_text())
    if postgres:
        config["storage"] = {"postgres": {"postgres_url": postgres}}
    (home / "dagster.yaml").write_text(yaml.safe_dump(config))


def fill(instance: dg.DagsterInstance, store: Store, names: list[str], size: int) -> None:
    """Add partitions, and a materialization of each by every asset directly to the event log."""
    import sqlalchemy as db
    from dagster._core.storage.event_log.schema import SqlEventLogStorageTable as Events

    instance.add_dynamic_partitions(BATCHES, names)
    signatures = {b: a.signature for b, a in list_incoming(store).arrivals.items()}
    first = names[0]
    for asset in ASSETS:
        event = dg.AssetMaterialization(
            asset, partition=first, metadata={ARRIVAL: signatures[first], "picture": "x" * size}
        )
        instance.report_runless_asset_event(event)
        with instance.event_log_storage.index_connection() as connection:  # type: ignore[attr-defined]
            row = connection.execute(db.select(Events).order_by(Events.c.id.desc()).limit(1)).mappings().one()
            template = {k: v for k, v in row.items() if k != "id"}
            for at in range(1, len(names), 1000):
                connection.execute(
                    Events.insert(),
                    [
                        template
                        | {
                            "partition": name,
                            "event": template["event"]
                            .replace(f'"{first}"', f'"{name}"')
                            .replace(signatures[first], signatures[name]),
                        }
                        for name in names[at : at + 1000]
                    ],
                )
            connection.commit()


def ticks(instance: dg.DagsterInstance, store: Path, print_row: Callable[[str, Durations], None], rounds: int) -> None:
    resources = dict(build_definitions(Settings(store=str(store), settle_seconds=0)).resources or {})

    def tick(cursor: str | None) -> tuple[Any, str | None]:
        context = dg.build_sensor_context(instance, cursor=cursor, resources=resources)
        result = new_batches(context)
        return result, result.cursor if isinstance(result, dg.SensorResult) else context.cursor

    cursors: list[str | None] = [None]
    print_row("tick, no cursor", timed(lambda: cursors.append(tick(None)[1])))
    print_row("tick, the next, which finds everything known", timed(lambda: cursors.append(tick(cursors[-1])[1])))
    state = json.loads(cursors[-1] or "{}")
    print(f"<!-- {len(state['requested']):,} recognized in that tick -->", flush=True)
    # the state after further ticks
    requested = state["requested"] | {b: signature for b, (signature, _) in state["seen"].items()}
    cursor = json.dumps({"seen": {}, "requested": requested})
    print_row("tick, idle", median(timed(lambda: tick(cursor)) for _ in range(rounds)))
    for i in range(REQUESTS_PER_TICK):
        (store / "incoming" / f"new-{i:03d}.tar").write_bytes(b"x")
    _, cursor = tick(cursor)
    results: list[Any] = []
    print_row(f"tick, {REQUESTS_PER_TICK} new", timed(lambda: results.append(tick(cursor)[0])))
    (result,) = results
    assert isinstance(result, dg.SensorResult), result
    assert len(result.run_requests or []) == REQUESTS_PER_TICK
    print(f"<!-- cursor {len(cursor or ''):,} characters -->", flush=True)


@contextmanager
def webserver() -> Iterator[tuple[Callable[[str, dict[str, Any]], Any], Callable[[], float]]]:
    """Start a webserver; yield a function that queries it and one that returns its CPU time (Linux; else 0)."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "dagster_webserver", "-w", WORKSPACE, "-h", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def ask(query: str, variables: dict[str, Any]) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/graphql",
            json.dumps({"query": query, "variables": variables}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=600) as response:
            answer = json.loads(response.read())
        assert "errors" not in answer, answer
        return answer

    def cpu() -> float:
        stat = Path(f"/proc/{process.pid}/stat")
        fields = stat.read_text().rpartition(")")[2].split() if stat.exists() else ["0"] * 13
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def answers() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"the webserver ended with status {process.returncode}")
        return webserver_answers(port)

    try:
        wait_for("the webserver", answers, patience=120, every=0.2)
        yield ask, cpu
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
