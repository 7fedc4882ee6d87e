"""Dagster's folder, made by whoever comes first."""

import os
import shutil
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from podcast_assets.config.settings import Settings
from podcast_assets.defs.instance import prepare_home
from podcast_assets_tests.forked import CONTEXT, PATIENCE


def _be_the_first(home: str, together: Barrier) -> None:
    import dagster as dg

    os.environ["DAGSTER_HOME"] = home
    together.wait(PATIENCE)
    prepare_home(Settings())
    with dg.DagsterInstance.get() as instance:
        assert instance.get_runs() == []


def test_two_commands_may_be_the_first_at_once(tmp_path: Path) -> None:
    """Dagster's own tables cannot be made twice at once: of four processes, one or two failed in most of the tries."""
    together = CONTEXT.Barrier(4)
    processes = [CONTEXT.Process(target=_be_the_first, args=(str(tmp_path), together), daemon=True) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(PATIENCE)
    assert [process.exitcode for process in processes] == [0] * 4


def test_half_of_the_configuration_is_never_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that reads it at that moment would take it for another configuration, and make no tables."""

    def cut_off(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes()[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", cut_off)
    with pytest.raises(OSError, match="No space left"):
        prepare_home(Settings(dagster_home=tmp_path))
    assert not (tmp_path / "dagster.yaml").exists()
