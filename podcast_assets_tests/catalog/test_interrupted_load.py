"""Loads that are killed, or run at the same time: readers see a batch as it was, or as it is."""

import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select, text

from podcast_assets.catalog.loading import load
from podcast_assets.catalog.loading.load import load_batch, load_batches
from podcast_assets.catalog.loading.source import SourceTables
from podcast_assets.catalog.tables import BATCHES, EPISODES, PODCASTS, SEGMENTS
from podcast_assets.config.settings import Settings
from podcast_assets.store.store import Store
from podcast_assets_tests.catalog.filled_store import commit_filled_batch
from podcast_assets_tests.waiting import wait_for

LOADER = """
    import sys
    from pathlib import Path
    from podcast_assets.catalog.connection import connect
    from podcast_assets.catalog.loading import load
    from podcast_assets.config.settings import Settings
    from podcast_assets.store.store import Store

    def wait(connection, source):
        print("merged", flush=True)
        sys.stdin.read()
        return 0

    load.ADDITIONS = (wait,)
    home, store, batch = sys.argv[1:]
    load.load_batch(connect(Settings(dagster_home=Path(home))), Store.at(store), batch, words=True)
"""


def loaded(engine: Engine) -> tuple[list[str], int]:
    with engine.connect() as connection:
        batches = list(connection.scalars(select(BATCHES.c.batch).order_by(BATCHES.c.batch)))
        return batches, connection.scalar(select(func.count()).select_from(SEGMENTS)) or 0


def test_a_killed_load_leaves_the_old_rows_and_the_next_one_completes(
    catalog: Engine, catalog_settings: Settings, tmp_path: Path
) -> None:
    store = Store.at(tmp_path / "store")
    commit_filled_batch(store, "first")
    load_batches(catalog, store, words=True)
    commit_filled_batch(store, "first", segments=20)
    arguments = [str(catalog_settings.dagster_home), str(tmp_path / "store"), "first"]
    loader = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(LOADER), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert loader.stdout is not None
    assert loader.stdout.readline() == "merged\n"
    assert loaded(catalog) == (["first"], 8), "everything is there but the commit"
    loader.kill()
    loader.communicate()
    assert loaded(catalog) == (["first"], 8)
    result = load_batches(catalog, store, words=True)
    assert [one.batch for one in result.loaded] == ["first"]
    assert loaded(catalog) == (["first"], 40)


def test_loads_at_the_same_time_take_turns(catalog: Engine, tmp_path: Path) -> None:
    store = Store.at(tmp_path / "store")
    batches = ["first", "second", "third"]
    for batch in batches:
        commit_filled_batch(store, batch, segments=30)
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda batch: load_batch(catalog, store, batch, words=True), batches * 2))
    assert sorted(one.changed > 0 for one in done) == [False] * 3 + [True] * 3, (
        "the second load of each found nothing to do"
    )
    assert loaded(catalog) == (batches, 180)
    with catalog.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(PODCASTS)) == 1
        assert connection.scalar(select(func.count()).select_from(EPISODES)) == 6


def test_a_load_that_read_older_tables_does_not_replace_newer_rows(
    catalog: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.at(tmp_path / "store")
    commit_filled_batch(store, "first")
    read, has_read, go_on = load.read_source, threading.Event(), threading.Event()

    def slow_read(*arguments: Any) -> SourceTables:
        source = read(*arguments)
        if not has_read.is_set():
            has_read.set()
            go_on.wait()
        return source

    def waits() -> bool:
        with catalog.connect() as connection:
            query = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            return (connection.scalar(query) or 0) > 0

    monkeypatch.setattr(load, "read_source", slow_read)
    with ThreadPoolExecutor(2) as pool:
        older = pool.submit(load_batch, catalog, store, "first", words=False)
        has_read.wait()
        commit_filled_batch(store, "first", segments=20)
        newer = pool.submit(load_batch, catalog, store, "first", words=False)
        wait_for("the second load, which waits or is done", lambda: newer.done() or waits(), patience=300, every=0.05)
        go_on.set()
        assert older.result().rows["segments"] == 8
        assert newer.result().rows["segments"] == 40
    assert loaded(catalog) == (["first"], 40)
