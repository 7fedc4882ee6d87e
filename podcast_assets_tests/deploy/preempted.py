"""A job whose one step computes on the pool `gpu` until it is let go: what test_preempted_runs.py ends in the middle."""

import os
import time
from pathlib import Path

import dagster as dg

HERE = Path(os.environ.get("PREEMPTED_FOLDER", "."))


@dg.asset(pool="gpu")
def long_work() -> None:
    (HERE / "begun").touch()
    while not (HERE / "let-go").exists():
        time.sleep(0.05)


defs = dg.Definitions(
    assets=[long_work],
    jobs=[dg.define_asset_job("work", selection="*", executor_def=dg.in_process_executor)],
)
