"""Dagster's folder, made by whoever comes first."""

import os
from multiprocessing.synchronize import Barrier
from pathlib import Path

from podcast_assets_tests.forked import CONTEXT


def _be_the_first(home: str, together: Barrier) -> None:
    import dagster as dg

    from podcast_assets.instance import prepare_home
    from podcast_assets.settings import Settings

    os.environ["DAGSTER_HOME"] = home
    together.wait()
    prepare_home(Settings())
    with dg.DagsterInstance.get() as instance:
        assert instance.get_runs() == []


def test_two_commands_may_be_the_first_at_once(tmp_path: Path) -> None:
    """Dagster's own tables cannot be made twice at once: of four processes, one or two failed in most of the tries."""
    for attempt in range(2):
        together = CONTEXT.Barrier(4)
        processes = [
            CONTEXT.Process(target=_be_the_first, args=(str(tmp_path / str(attempt)), together)) for _ in range(4)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        assert [process.exitcode for process in processes] == [0] * 4
