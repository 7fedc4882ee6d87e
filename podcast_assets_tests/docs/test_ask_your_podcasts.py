"""The session of docs/guides/ask-your-podcasts.md says what its commands print."""

import contextlib
import io
import re
import shlex
from collections.abc import Iterator

import pytest

from podcast_assets.catalog.connection import embedded_server
from podcast_assets.config.settings import Settings
from podcast_assets_tests.catalog.reference_store import commit_references
from podcast_assets_tests.conftest import CHECKOUT, Place

PAGE = CHECKOUT / "docs/guides/ask-your-podcasts.md"
_STEP = re.compile(r"```(?P<language>sql|python|console)\n(?P<code>.*?)```\n+```text\n(?P<output>.*?)```", re.DOTALL)


@pytest.fixture
def asked(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """The sample batch in a catalog on the embedded server."""
    for name, value in place.environment(PODCAST_CATALOG="1", COLUMNS="160", POLARS_FMT_STR_LENGTHS="60").items():
        monkeypatch.setenv(name, value)
    commit_references(place.store)
    loaded = place.command("catalog", "load", PODCAST_CATALOG="1")
    assert loaded.returncode == 0, loaded.stderr
    yield place
    embedded_server(Settings()).leave()


def run_step(place: Place, language: str, code: str) -> str:
    if language == "python":
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, PAGE.name, "exec"), {})
        return printed.getvalue()
    arguments = (
        ["catalog", "psql", "-c", code] if language == "sql" else shlex.split(code.removeprefix("$ podcast-assets"))
    )
    result = place.command(*arguments, PODCAST_CATALOG="1", COLUMNS="160")
    assert result.returncode == 0, result.stderr
    return result.stdout


def plain(output: str) -> list[str]:
    return [line.rstrip() for line in output.strip("\n").splitlines()]


def test_the_session_prints_what_the_page_says(asked: Place) -> None:
    steps = list(_STEP.finditer(PAGE.read_text()))
    assert [step["language"] for step in steps] == ["sql", "sql", "sql", "python", "console"]
    for step in steps:
        assert plain(run_step(asked, step["language"], step["code"])) == plain(step["output"]), step["code"]
