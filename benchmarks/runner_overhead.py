"""Overhead of the stage runner per episode: fingerprint, prefetch, checkpoint, provenance, progress, table, commit.

    python -m benchmarks.runner_overhead [--episodes 200 2000] [--segments 60] [--rounds 5] [--work 0.05]

A stage that gives ready rows (segments with 20 words each, as transcription does) is run over a fresh batch in a store on this
disk, against a plain loop that calls the same function for each episode and joins the rows. Wall time, median of the rounds;
what one has more than the other is the runner's. The work of an episode is simulated: nothing at first, where the whole cost shows;
then a fixed time asleep (--work, seconds), as a GPU would take it, where a part of the cost is hidden behind it. A third line is to
run the batch again when it is committed (nothing to do), a fourth after a kill that lost the table only (all checkpoints there).
"""

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from benchmarks.measured import wall
from podcast_assets.engines.engine import Engine
from podcast_assets.stages.compute.local import Local
from podcast_assets.stages.runner import run_stage
from podcast_assets.stages.stage import Episode, OneByOne
from podcast_assets.store.schema import TRANSCRIPTS, Columns, schema
from podcast_assets.store.store import Store, table_key

WORK_SECONDS = 30.0
"""Of an episode, of which the share is computed."""


class Tool(Engine):
    name: ClassVar[str] = "tool"


@dataclass(frozen=True)
class Ready(OneByOne):
    """Return prepared rows after a fixed time."""

    rows: pl.DataFrame
    seconds: float
    engine: Engine
    name: ClassVar[str] = "ready"
    version: ClassVar[str] = "1"
    columns: ClassVar[Columns] = TRANSCRIPTS
    asset: ClassVar[str] = "transcripts"

    def load(self, device: str | None = None) -> None:
        """Nothing."""

    def outputs(self, episode: Episode) -> list[str]:
        return []

    def prepare(self, episode: Episode) -> None:
        """Nothing."""

    def process(self, worker: Any, episode: Episode, prepared: Any) -> pl.DataFrame:
        if self.seconds:
            time.sleep(self.seconds)
        return self.rows.with_columns(
            episode_id=pl.lit(episode.episode_id),
            segment_id=pl.lit(episode.episode_id) + pl.format("-{}", "segment_index"),
        )


def ready_rows(segments: int) -> pl.DataFrame:
    words = [{"word": "word", "start": w * 0.3, "end": w * 0.3 + 0.2, "probability": 0.9} for w in range(20)]
    values = {
        "segment_id": "",
        "episode_id": "",
        "text": "word " * 20,
        "language": "en",
        "language_probability": 1.0,
        "text_language": "en",
        "words": words,
        "avg_logprob": -0.2,
        "no_speech_prob": 0.01,
        "compression_ratio": 1.5,
        "temperature": 0.0,
        "uncovered_speech": 0.0,
        "redone": [],
        "flags": [],
    }
    types = {k: v for k, v in schema(TRANSCRIPTS).items() if k in values or k == "segment_index"}
    return pl.DataFrame([values | {"segment_index": i} for i in range(segments)], schema=types)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, nargs="*", default=[200, 2000])
    parser.add_argument("--segments", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--work", type=float, default=0.05)
    arguments = parser.parse_args()
    rows = ready_rows(arguments.segments)
    print(
        "| episodes | work each | | ms per episode more than a plain loop, median | share at 30 s of work |\n|---|---|---|---|---|"
    )
    for count in arguments.episodes:
        for work in (0.0, arguments.work) if count <= 500 else (0.0,):
            for name, more in measure(rows, count, work, arguments.rounds).items():
                share = more / WORK_SECONDS
                print(f"| {count} | {work * 1000:.0f} ms | {name} | {more * 1000:.2f} | {share:.3%} |", flush=True)


def measure(rows: pl.DataFrame, count: int, work: float, rounds: int) -> dict[str, float]:
    """Return line → extra seconds per episode compared with the plain loop, median."""
    stage = Ready(rows, work, Tool())
    episodes = [Episode(f"e{i:05d}", f"e{i:05d}.mp3", 3600.0, {"sha256": f"{i:064d}"}) for i in range(count)]
    more: dict[str, list[float]] = {"first run": [], "run again, committed": [], "run again, from checkpoints": []}
    with tempfile.TemporaryDirectory() as folder:
        store = Store.at(folder)
        for number in range(rounds):
            batch = f"round-{number}"

            def run(batch: str = batch, *, committing: bool = True) -> None:
                result = run_stage(stage, batch, episodes, store, Local(stage, 2))
                table = result.table()
                if committing:
                    result.commit(store, table)

            plain = wall(lambda: pl.concat([stage.process(None, e, stage.prepare(e)) for e in episodes]))
            more["first run"].append(wall(run) - plain)
            more["run again, committed"].append(wall(run))
            store.remove(table_key("transcripts", batch))
            run(committing=False)
            more["run again, from checkpoints"].append(wall(run))
    return {name: statistics.median(each) / count for name, each in more.items()}


if __name__ == "__main__":
    main()
