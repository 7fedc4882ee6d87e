"""Dagster's databases can be damaged, and the message is one line."""

from collections.abc import Callable
from pathlib import Path

import pytest

from podcast_assets_tests.conftest import Place
from podcast_assets_tests.waiting import free_port

DATABASES = ("history/runs.db", "history/runs/index.db", "schedules/schedules.db")


def overwrite(path: Path) -> None:
    path.write_bytes(b"this is no database\n" * 1000)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])


def put_zeros_into(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:100] + bytes(len(data) // 2) + data[100 + len(data) // 2 :])


def put_a_folder_there(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("database", "damage"),
    [
        *((name, overwrite) for name in DATABASES),
        (DATABASES[0], truncate),
        (DATABASES[1], put_zeros_into),
        (DATABASES[0], put_a_folder_there),
    ],
)
def test_a_damaged_database_is_named(
    dagster_home: Path, place: Place, database: str, damage: Callable[[Path], None]
) -> None:
    place.store.write("incoming/one/a.mp3", b"x")
    damage(dagster_home / database)
    result = place.command("backfill", "one", "--here", "--profile", "demo")
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert f"{dagster_home / database} is damaged (" in line
    assert line.endswith(
        "Results in the store are not affected. To begin a new instance, "
        f"move the folder {dagster_home} away and run the command again"
    )


@pytest.mark.parametrize("database", DATABASES)
def test_the_ui_does_not_start_on_a_damaged_database(dagster_home: Path, place: Place, database: str) -> None:
    put_zeros_into(dagster_home / database)
    result = place.command("dev", "--port", str(free_port()))
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert f"{dagster_home / database} is damaged (" in line


def test_tables_that_are_missing(dagster_home: Path, place: Place) -> None:
    place.store.write("incoming/one/a.mp3", b"x")
    (dagster_home / DATABASES[1]).write_bytes(b"")
    result = place.command("backfill", "one", "--here", "--profile", "demo")
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert f"the database in {dagster_home} cannot be used (tables are missing)" in line
