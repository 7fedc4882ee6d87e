"""What commands say beside their results: in full, and in the form that the settings ask for."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from podcast_assets.cli.batches import retry
from podcast_assets.cli.release import _print_withheld
from podcast_assets.store.store import Store
from podcast_assets_tests.committed import commit_batch, failure
from podcast_assets_tests.conftest import Place


def test_extras_in_brackets_are_shown(place: Place) -> None:
    """Rich takes [fasttext] for markup."""
    shown = place.command("settings", COLUMNS="300").stdout
    assert "podcast-assets[fasttext]" in " ".join(shown.split())


@pytest.mark.parametrize(
    "command", [("models", "verify"), ("dataset", "verify", "nowhere"), ("policy", "show", "no-such-policy")]
)
def test_messages_are_json_where_the_settings_say_so(place: Place, command: tuple[str, ...]) -> None:
    result = place.command(*command, PODCAST_LOG_FORMAT="json", PODCAST_MODELS=str(place.folder / "models"))
    lines = result.stderr.splitlines()
    assert lines
    assert all(json.loads(line)["message"] for line in lines)


def test_an_error_has_a_traceback_where_the_command_is_verbose(place: Place) -> None:
    for command in (("-v", "policy", "show", "none"), ("policy", "show", "none", "-v")):
        result = place.command(*command)
        assert result.returncode == 2
        first, *_, last = result.stderr.splitlines()
        assert first == "Traceback (most recent call last):"
        assert last.startswith("podcast-assets: ")
    assert "Traceback" not in place.command("policy", "show", "none").stderr
    wrong = place.command("settings", PODCAST_LOG_LEVEL="loud")
    assert "PODCAST_LOG_LEVEL='loud': input should be" in wrong.stderr


def test_names_of_settings_are_whole_in_a_narrow_terminal(place: Place) -> None:
    shown = place.command("settings", COLUMNS="80").stdout.splitlines()
    first = [line.split()[0] for line in shown if line.strip()]
    assert set(json.loads(place.command("settings", "--json").stdout)) <= set(first)


def test_what_is_left_out_is_counted_in_json_too(place: Place) -> None:
    commit_batch(place.store, "one", failure("transcribe"), failure("score", episode="b"))
    commit_batch(place.store, "two")
    for command, what in (("batches", "1 of 2 batches"), ("failures", "1 of 2 failures")):
        result = place.command(command, "--json", "--limit", "1")
        assert len(json.loads(result.stdout)) == 1
        assert f"{what}; --limit 0 shows all" in result.stderr


def test_withheld_episodes_over_the_limit_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"batch": "b", "episode_id": f"e{n}", "detail": "no licence"} for n in range(12)]
    _print_withheld({"not_released": [], "withheld": rows, "still_published": rows[:11]})
    shown = capsys.readouterr().out
    assert "  and 2 more" in shown
    assert "still published: and 1 more" in shown


@pytest.mark.usefixtures("dagster_home")
def test_refused_names_are_shown_where_all_batches_are_taken(place: Place) -> None:
    place.store.write("incoming/a.tar", b"x")
    place.store.write("incoming/a/talk.mp3", b"x")
    place.store.write("incoming/notes.txt", b"x")
    notes = "incoming/notes.txt: neither an archive, a folder nor a list of URLs"
    for command in (("batches",), ("add", "--all"), ("backfill", "--all")):
        result = place.command(*command)
        assert result.returncode == 0, result.stderr
        assert notes in result.stderr
        assert "another arrival is called 'a' already" in result.stderr
    named = place.command("add", "notes")
    assert (named.returncode, named.stderr) == (2, f"podcast-assets: batch notes: {notes}\n")


@pytest.mark.usefixtures("dagster_home")
def test_an_empty_incoming_is_called_so(place: Place) -> None:
    assert "there are no batches under incoming/" in place.command("add", "--all").stderr
    assert "name batches, or pass --all" in place.command("add").stderr


def test_permanent_failures_are_retried_where_the_setting_says_so(
    tmp_path: Path, dagster_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit_batch(Store.at(tmp_path / "store"), "b", failure("ingest", permanent=True))
    monkeypatch.setenv("PODCAST_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("DAGSTER_HOME", str(dagster_home))
    seen: list[tuple[bool, list[str]]] = []
    monkeypatch.setattr(
        "podcast_assets.cli.backfill.run_batches_here",
        lambda _, settings, chosen: seen.append((settings.retry_permanent, chosen)) or True,
    )

    def retry_here(*more: str) -> None:
        assert CliRunner().invoke(retry, ["b", "--here", *more], catch_exceptions=False).exit_code == 0

    retry_here()
    assert seen == []
    retry_here("--permanent")
    monkeypatch.setenv("PODCAST_RETRY_PERMANENT", "true")
    retry_here()
    assert seen == [(True, ["b"])] * 2
