"""Commands say where transcripts would be sent, and ask once before they leave the private network."""

import sys
from pathlib import Path
from typing import Any

import click
import pytest

from podcast_assets.cli.remote_texts import confirm_remote
from podcast_assets.common.errors import Misconfigured
from podcast_assets.config.settings import make_settings

REMOTE = "https://8.8.8.8/v1"
SENTENCE = "transcripts would be sent to https://8.8.8.8/v1, which is neither on this machine nor on a private network"


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """At a terminal: what a person answers; questions that were asked leave the list."""
    given: list[bool] = []

    def confirm(text: str, abort: bool = False, **_: Any) -> bool:
        if not (answer := given.pop(0)) and abort:
            raise click.Abort
        return answer

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(click, "confirm", confirm)
    return given


def settings(url: str = REMOTE, moderation: str = "harmful", **more: Any):
    return make_settings({"moderation_url": url, "moderation": moderation, **more})


def test_a_yes_allows_this_run(answers: list[bool], capsys: pytest.CaptureFixture[str]) -> None:
    answers.append(True)
    assert confirm_remote(settings()).moderation_allow_remote
    assert answers == []
    assert SENTENCE in " ".join(capsys.readouterr().err.split())


def test_a_no_starts_nothing(answers: list[bool]) -> None:
    answers.append(False)
    with pytest.raises(click.Abort):
        confirm_remote(settings())


def test_where_nobody_can_be_asked_the_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    with pytest.raises(
        Misconfigured, match=rf"nothing was started: {SENTENCE}. Set PODCAST_MODERATION_ALLOW_REMOTE=true"
    ):
        confirm_remote(settings())


def test_what_is_allowed_is_said_and_not_asked(answers: list[bool], capsys: pytest.CaptureFixture[str]) -> None:
    given = settings(moderation_allow_remote=True)
    assert confirm_remote(given) is given
    assert "transcripts are sent to https://8.8.8.8/v1" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    "given",
    [
        {"url": "http://127.0.0.1:8000/v1"},
        {"url": "http://192.168.7.7:8000"},
        {"moderation": ""},
        {"moderation": "profanity"},
    ],
)
def test_what_stays_here_is_not_asked_about(answers: list[bool], given: dict[str, Any]) -> None:
    chosen = settings(**given)
    assert confirm_remote(chosen) is chosen


def test_a_server_of_the_engines_setting_counts(answers: list[bool], tmp_path: Path) -> None:
    answers.append(True)
    given = settings("http://127.0.0.1:8000", engines={"openai": {"url": REMOTE}})
    assert confirm_remote(given).moderation_allow_remote
    assert answers == []
