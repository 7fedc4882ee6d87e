"""Run the scripted stage in a process of its own, as `python -m …driver FOLDER COUNT SCRIPT`; ends with one line of JSON."""

import json
import sys
import time
from pathlib import Path

from podcast_assets.config.settings import Settings
from podcast_assets.stages.compute.choose import computing
from podcast_assets.stages.runner import run_stage
from podcast_assets.store.store import Store
from podcast_assets_tests.cluster.scripted import Scripted, episodes


def main(folder: Path, count: int, script: str) -> None:
    """Run it; the settings are those of the environment."""
    store, stage = Store.at(folder / "store"), Scripted(folder / "notes", json.loads(script))
    began = time.monotonic()
    with computing(stage, Settings()) as compute:  # type: ignore[arg-type]
        result = run_stage(stage, "b", episodes(count), store, compute=compute)  # type: ignore[arg-type]
    sys.stdout.write(
        json.dumps(
            {
                "done": list(result.done),
                "ran": result.ran,
                "rows": result.table()["episode_id"].to_list(),
                "failures": result.failures["message"].to_list(),
                "nodes": sorted(set(result.provenance["node"])),
                "seconds": time.monotonic() - began,
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
