"""Batches as partitions, added by several processes."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy.engine
import sqlalchemy.event
import sqlalchemy.exc

from podcast_assets.config.settings import Settings
from podcast_assets.defs.instance import POSTGRES, prepare_home
from podcast_assets.defs.partitions import BATCHES, add_batches
from podcast_assets_tests.servers.postgres import postgres

PATIENCE = 600
"""Seconds after which a test gives up; nothing is measured by it."""


@pytest.fixture(params=["sqlite", "postgres"])
def home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An instance's folder."""
    monkeypatch.setenv("DAGSTER_HOME", "to be restored")
    settings = Settings(dagster_home=tmp_path / "home")
    if request.param == "sqlite":
        yield str(prepare_home(settings))
        return
    pytest.importorskip("dagster_postgres", reason="needs the extra postgres")
    with postgres() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield str(prepare_home(settings, POSTGRES))


@pytest.fixture
def before_each_insert() -> Iterator[Callable[[Callable[[], None]], None]]:
    """Call a function before every statement that inserts partitions."""
    added: list[Callable[..., None]] = []

    def listen(function: Callable[[], None]) -> None:
        def before_statement(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            if statement.startswith("INSERT INTO dynamic_partitions"):
                function()

        sqlalchemy.event.listen(sqlalchemy.engine.Engine, "before_cursor_execute", before_statement)
        added.append(before_statement)

    yield listen
    for function in added:
        sqlalchemy.event.remove(sqlalchemy.engine.Engine, "before_cursor_execute", function)


def test_two_commands_may_add_the_same_batch_at_once(
    home: str, before_each_insert: Callable[[Callable[[], None]], None]
) -> None:
    """Both have read the partitions before either inserts; the later one still adds what the other did not."""
    both_have_read, seen = threading.Barrier(2), threading.local()

    def meet() -> None:
        if not hasattr(seen, "insert"):
            seen.insert = True
            both_have_read.wait(PATIENCE)

    with dg.DagsterInstance.from_config(home) as one, dg.DagsterInstance.from_config(home) as other:
        add_batches(one, ["before"])
        before_each_insert(meet)
        with ThreadPoolExecutor(2) as threads:
            calls = [
                threads.submit(add_batches, one, ["before", "both", "mine"]),
                threads.submit(add_batches, other, ["both", "theirs"]),
            ]
            for call in calls:
                call.result()
        assert sorted(one.get_dynamic_partitions(BATCHES)) == ["before", "both", "mine", "theirs"]


def test_an_insert_that_always_fails_is_an_error(
    home: str, before_each_insert: Callable[[Callable[[], None]], None]
) -> None:
    def refuse() -> None:
        raise sqlalchemy.exc.IntegrityError("INSERT", {}, Exception("read-only"))

    before_each_insert(refuse)
    with dg.DagsterInstance.from_config(home) as instance, pytest.raises(sqlalchemy.exc.IntegrityError):
        add_batches(instance, ["a"])
