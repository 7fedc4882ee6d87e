"""Dagster's folder, made by whoever comes first."""

import os
import subprocess
import sys
from pathlib import Path

FIRST = """
import dagster as dg
from podcast_assets.instance import prepare_home
from podcast_assets.settings import Settings

prepare_home(Settings())
with dg.DagsterInstance.get() as instance:
    print(len(instance.get_runs()))
"""


def test_two_commands_may_be_the_first_at_once(tmp_path: Path) -> None:
    """Dagster's own tables cannot be made twice at once: of four processes, one or two failed in most of the tries."""
    for attempt in range(3):
        environment = os.environ | {"DAGSTER_HOME": str(tmp_path / str(attempt))}
        first = [
            subprocess.Popen([sys.executable, "-c", FIRST], env=environment, stdout=-1, stderr=-1, text=True)
            for _ in range(4)
        ]
        told = [process.communicate() for process in first]
        assert [process.returncode for process in first] == [0] * 4, "".join(error for _, error in told)
        assert [answer.strip() for answer, _ in told] == ["0"] * 4
