"""The commands start fast: what each of them imports, and that the list of commands agrees with the commands."""

import json
import subprocess
import sys
from pathlib import Path

import click
import dagster as dg
import pytest

from podcast_assets.cli.main import COMMANDS, main
from podcast_assets.defs.instance import LOCAL, POSTGRES, project_file
from podcast_assets.defs.partitions import BATCHES, PARTITION
from podcast_assets.defs.unfinished_runs import UNFINISHED, may_have_unfinished_runs
from podcast_assets_tests.conftest import Place
from podcast_assets_tests.short_clip import drop_clip

MODULES = """
import json, sys
from podcast_assets.cli.main import main
try:
    main(sys.argv[1:])
finally:
    packages = sorted({name.partition(".")[0] for name in sys.modules})
    sys.stderr.write(f"\\n{json.dumps(packages)}")
"""
DAGSTER = {
    "dagster",
    "huggingface_hub",
    "httpx2",
    "requests",
    "pyarrow",
    "pandas",
    "matplotlib",
    "structlog",
    "ctranslate2",
}
"""What a command that prints a table of the store does without."""
TABLES = DAGSTER | {"numpy", "upath", "fsspec", "obstore"}
"""What it does without where nothing is computed."""
WORDS = (TABLES | {"polars"}) - {"huggingface_hub"}
"""What a command that reads no table does without; where the models lie, the hub's library says (its constants alone)."""
HELP = TABLES | {"polars", "pydantic", "rich"}
"""What the help does without."""


@pytest.mark.parametrize(
    ("command", "unwanted"),
    [
        ("--help", HELP),
        ("run --help", WORDS | {"pydantic"}),
        ("settings", WORDS | {"huggingface_hub", "pydantic_settings"}),
        ("profiles", WORDS | {"httpx2", "yaml"}),
        ("batches", TABLES),
        ("episodes --json", TABLES),
        ("failures", TABLES),
        ("stats --by day", TABLES),
        ("takedowns", TABLES),
        ("duplicates --json", DAGSTER),
    ],
)
def test_a_command_imports_only_what_it_needs(place: Place, command: str, unwanted: set[str]) -> None:
    result = subprocess.run(
        [sys.executable, "-c", MODULES, *command.split()],
        cwd=place.folder,
        env=place.environment(PODCAST_ENGINES="{}"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert unwanted & set(json.loads(result.stderr.splitlines()[-1])) == set()


def test_the_list_of_commands_agrees_with_the_commands() -> None:
    """The help of the whole is what click makes of the commands when they are imported."""
    plain = click.Group(main.name, help=main.help, params=main.params, context_settings=main.context_settings)
    for name, command in main.commands.items():
        plain.add_command(command, name)
    before = {width: _help(main, width) for width in (60, 80, 200)}
    main.load_commands()
    assert main.commands.keys() == COMMANDS.keys()
    assert all(name == command.name for name, command in main.commands.items())
    for name, command in main.commands.items():
        plain.add_command(command, name)
    for width, shown in before.items():
        assert shown == _help(plain, width)


def _help(group: click.Group, width: int) -> str:
    return group.get_help(
        click.Context(
            group,
            info_name="podcast-assets",
            max_content_width=width,
            terminal_width=width,
            # the group keeps its help option once it was made, as by a test that called a command
            help_option_names=group.context_settings["help_option_names"],
        )
    )


def test_unfinished_runs_are_seen_without_dagster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the commands look for them, in the database that an instance of Dagster has written."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    assert may_have_unfinished_runs(home), "there is nothing to tell by"
    (home / "dagster.yaml").write_bytes(project_file(LOCAL).read_bytes())
    with dg.DagsterInstance.get() as instance:
        assert not may_have_unfinished_runs(home)
        for status in (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.SUCCESS):
            run = dg.DagsterRun(job_name="any", status=status)
            instance.add_run(run)
            assert may_have_unfinished_runs(home) == (not run.is_finished), status
            instance.delete_run(run.run_id)
    others = {status.value for status in dg.DagsterRunStatus} - set(UNFINISHED)
    assert others == {"SUCCESS", "FAILURE", "CANCELED", "SUSPENDED", "MANAGED"}, "Dagster uses the last two no more"
    (home / "dagster.yaml").write_bytes(project_file(POSTGRES).read_bytes())
    assert may_have_unfinished_runs(home), "the runs are in another database"


def test_a_batch_of_a_run_that_goes_on_is_busy(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    drop_clip(place.store, "b")

    def state() -> str:
        return json.loads(place.command("batches", "--json").stdout)[0]["state"]

    home = place.folder / "dagster_home"
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    home.mkdir()
    (home / "dagster.yaml").write_bytes(project_file(LOCAL).read_bytes())
    with dg.DagsterInstance.get() as instance:
        assert state() == "arrived"
        instance.add_dynamic_partitions(BATCHES, ["b"])
        instance.add_run(dg.DagsterRun(job_name="any", status=dg.DagsterRunStatus.STARTED, tags={PARTITION: "b"}))
        assert state() == "busy"
