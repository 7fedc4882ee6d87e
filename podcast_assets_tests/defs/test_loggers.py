"""Log lines as JSON: of commands and of Dagster's runs, with what they are about."""

import json
import logging
import re
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from podcast_assets.common.log_lines import json_formatter, log_context
from podcast_assets.config.settings import Settings
from podcast_assets.defs.build import build_definitions
from podcast_assets_tests.conftest import Place
from podcast_assets_tests.short_clip import drop_clip


def line(record: logging.LogRecord) -> dict[str, Any]:
    text = json_formatter().format(record)
    assert "\n" not in text
    return json.loads(text)


def record(message: str, *arguments: object, **more: object) -> logging.LogRecord:
    made = logging.LogRecord("podcast_assets.stages.runner", logging.WARNING, "x.py", 1, message, arguments, None)
    made.__dict__.update(more)
    return made


def test_a_line_says_what_it_is_about() -> None:
    with log_context(batch="b", stage="diarize"):
        found = line(record("%s failed", "Käse.mp3", episode="Käse.mp3", color="red"))
    assert found.pop("time").endswith("Z")
    assert found == {
        "level": "warning",
        "logger": "podcast_assets.stages.runner",
        "message": "Käse.mp3 failed",
        "batch": "b",
        "stage": "diarize",
        "episode": "Käse.mp3",
    }
    assert "batch" not in line(record("after")), "it is bound for the block only"


def test_a_traceback_stays_in_its_line() -> None:
    try:
        raise ValueError("odd\ninput")
    except ValueError:
        broken = record("it broke")
        broken.exc_info = sys.exc_info()
    assert "ValueError: odd" in line(broken)["exception"]


def test_text_of_others_cannot_make_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert line(record('a "title"\n{"level": "info"}'))["message"] == 'a "title"\n{"level": "info"}'


def test_the_level_of_the_settings_holds_in_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Dagster sets the level of its configuration, INFO here, at the start of each run."""
    log = logging.getLogger("podcast_assets.some")
    monkeypatch.setattr(log, "level", logging.NOTSET)

    @dg.op
    def talk() -> None:
        log.debug("a detail")
        log.info("usual")
        try:
            raise ValueError("odd\nerror")
        except ValueError:
            log.warning("strange", exc_info=True)

    @dg.job
    def some_job() -> None:
        talk()

    def run(level: str) -> list[str]:
        settings = Settings(log_level=level, store=str(tmp_path))  # type: ignore[arg-type]
        definitions = build_definitions(settings)
        python_logs = {"managed_python_loggers": ["podcast_assets"], "python_log_level": "INFO"}
        with dg.instance_for_test({"python_logs": python_logs}) as instance:
            job = dg.JobDefinition(graph_def=some_job.graph, logger_defs=dict(definitions.loggers or {}))
            job.execute_in_process(instance=instance, run_config={"loggers": {"terminal": {}}})
        return capsys.readouterr().err.splitlines()

    assert run("info") == ["usual", "warning: strange"]
    assert run("WARNING") == ["warning: strange"]
    lines = run("debug")
    assert any(re.fullmatch(r"\d\d:\d\d:\d\d debug: a detail", line) for line in lines)
    assert any('Started execution of step "talk"' in line for line in lines)
    assert "    ValueError: odd" in lines, "indented, so that it does not look like a record"
    assert run("info") == ["usual", "warning: strange"]


@pytest.mark.usefixtures("dagster_home")
def test_a_command_writes_json_lines_and_nothing_else(place: Place) -> None:
    drop_clip(place.store, "one")
    bad = place.store.path("incoming/one/broken.mp3")
    bad.write_bytes(b"no audio at all")
    result = place.command("backfill", "one", "--here", "--profile", "demo", PODCAST_LOG_FORMAT="json")
    assert result.returncode == 0, result.stderr
    lines = [json.loads(text) for text in result.stderr.splitlines()]
    assert {"time", "level", "logger", "message"} <= set.intersection(*(set(x) for x in lines))
    progress = [x for x in lines if x.get("stage") == "transcribe" and "episode" in x]
    assert [(x["batch"], x["episode"], x["step"], x["job"]) for x in progress] == [
        ("one", "water-history.flac", "transcripts", "podcast_dataset")
    ]
    assert progress[0]["run_id"] in {x.get("run_id") for x in lines if x.get("stage") == "package"}
    (failed,) = [x for x in lines if x["level"] == "warning" and x.get("episode") == "broken.mp3"]
    assert (failed["batch"], failed["stage"]) == ("one", "ingest")
    assert lines[-1]["logger"] == "podcast_assets.cli.terminal"
