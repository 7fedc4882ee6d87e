"""Settings that cannot work are told, each by its environment variable."""

from pathlib import Path
from typing import get_args

import click
import pytest
from pydantic import ValidationError

from podcast_assets.cli.terminal import PROFILE
from podcast_assets.config.groups.store import ProfileName
from podcast_assets.config.setting_errors import explain_error
from podcast_assets.config.settings import Settings
from podcast_assets.stages.profiles import DESCRIPTIONS
from podcast_assets_tests.conftest import Place


@pytest.fixture(autouse=True)
def no_other_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PODCAST_LANGUAGE", "PODCAST_MIN_SPEAKERS", "PODCAST_MAX_SPEAKERS"):
        monkeypatch.delenv(name, raising=False)


def lines(**given: object) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Settings(**given)  # type: ignore[arg-type]
    return explain_error(caught.value)


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PODCAST_LANGUAGE", "")
    monkeypatch.setenv("PODCAST_PREFETCH", "")
    assert (Settings().language, Settings().prefetch) == (None, 2)


def test_dagster_home_may_begin_with_a_tilde(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DAGSTER_HOME", "~/instance")
    assert Settings().dagster_home == tmp_path / "instance"
    assert lines(dagster_home="~no-such-user/instance")[0].startswith("DAGSTER_HOME='~no-such-user/instance': ")


def test_profiles_have_the_same_names_everywhere() -> None:
    """Settings and options do not import the module that describes them, as it loads engines."""
    (option,) = click.command()(PROFILE(lambda profile: None)).params
    assert isinstance(option.type, click.Choice)
    assert list(option.type.choices) == list(get_args(ProfileName)) == ["auto", *DESCRIPTIONS]


def test_fewest_speakers_are_not_more_than_most() -> None:
    assert Settings(min_speakers=3, max_speakers=3).max_speakers == 3
    assert lines(min_speakers=3, max_speakers=2) == [
        "PODCAST_MIN_SPEAKERS=3 must not be greater than PODCAST_MAX_SPEAKERS=2"
    ]
    assert Settings(min_speakers=7).max_speakers is None, "left to the diarizer"


@pytest.mark.parametrize("wrong", ["English", "EN", "eng", "en\n", "e1", ""])
def test_a_language_is_a_code_of_two_letters(wrong: str) -> None:
    assert Settings(language="de").language == "de"
    assert lines(language=wrong) == [
        f"PODCAST_LANGUAGE={wrong!r}: must be an ISO 639-1 code: two small letters, such as en or de"
    ]


def test_every_wrong_setting_has_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PODCAST_MAX_SPEAKERS", "abc")
    speakers, codec = sorted(lines(shard_codec="aac"))
    assert speakers.startswith("PODCAST_MAX_SPEAKERS='abc': input should be a valid integer")
    assert codec == "PODCAST_SHARD_CODEC='aac': input should be 'flac', 'opus', 'mp3' or 'wav'"


def test_the_commands_tell_wrong_settings_without_a_traceback(place: Place) -> None:
    result = place.command("settings", PODCAST_MAX_SPEAKERS="abc", PODCAST_LANGUAGE="English")
    assert result.returncode == 2
    assert [line.split(":")[1].strip() for line in result.stderr.splitlines()] == [
        "PODCAST_LANGUAGE='English'",
        "PODCAST_MAX_SPEAKERS='abc'",
    ]
    option = place.command("run", __file__, "--language", "English")
    assert option.returncode == 2
    assert option.stderr.startswith("podcast-assets: PODCAST_LANGUAGE='English': must be an ISO 639-1 code")
    assert not place.store.exists("incoming")
