"""The page "Add an engine" works as written: its example is found, chosen by a setting, run, and known to doctor."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from podcast_assets.cli.doctor.engines import examine, profile_engines
from podcast_assets.common.errors import Misconfigured
from podcast_assets.config.settings import Settings
from podcast_assets.engines import engine as engines
from podcast_assets.engines.engine import Engine
from podcast_assets.quality import scorers
from podcast_assets.speech import diarizers
from podcast_assets.stages import profiles

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "add-an-engine.md"


def clear_caches() -> None:
    engines.engines.cache_clear()
    engines._engine_class.cache_clear()


@pytest.fixture
def peak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The example of the page, saved under the name that the page gives it."""
    example = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert example
    (tmp_path / "peak.py").write_text(example[1])
    monkeypatch.setattr(scorers, "__path__", [*scorers.__path__, str(tmp_path)])
    clear_caches()
    yield
    clear_caches()


def choose(**settings: Any) -> profiles.Profile:
    return profiles.choose_profile(Settings(profile="demo", dnsmos_hop=9, scorers="peak", **settings))


@pytest.mark.usefixtures("peak")
def test_the_example_runs_beside_dnsmos() -> None:
    seconds = np.repeat(np.array([0.1, 1.0, 0.01], np.float32), 16_000)
    whole, short = choose().scorer.load().score(seconds, [(0.0, 3.0), (0.0, 0.5)])
    assert whole["peak_second_db"] == pytest.approx(0.0, abs=1e-6)
    assert short["peak_second_db"] is None
    assert whole["dnsmos_ovrl"] is not None


@pytest.mark.usefixtures("peak")
def test_its_settings_are_set_by_name_and_only_those_of_results_are_in_the_fingerprint() -> None:
    example = re.search(r"PODCAST_ENGINES='(.*?)'", PAGE.read_text(), re.DOTALL)
    assert example
    identity = choose().scorer.identity()
    assert choose(engines=json.loads(example[1])).scorer.identity() != identity
    assert choose(engines={"peak": {"threads": 2}}).scorer.identity() == identity
    assert choose().scorer.versions()["numpy"] == np.__version__
    assert profiles.components(choose().scorer)[-1].gpu_use() == "never"


@pytest.mark.usefixtures("peak")
def test_doctor_lists_it() -> None:
    (member,) = (m for m in profile_engines(choose()) if m.engine.name == "peak")
    finding = examine(member, {}, gpus=0)
    assert (finding.state, finding.what) == ("ok", f"scorer peak: numpy {np.__version__}")


@pytest.mark.usefixtures("peak")
def test_scorers_may_repeat_each_other_and_dnsmos() -> None:
    profile = profiles.choose_profile(Settings(profile="demo", scorers="dnsmos, peak,peak"))
    assert [e.name for e in profiles.components(profile.scorer)] == ["dnsmos", "peak"]


def test_settings_of_an_engine_that_does_not_exist_are_refused() -> None:
    with pytest.raises(
        Misconfigured, match="PODCAST_ENGINES: no engine is called 'peek'; there are: audio-tagging, ctc"
    ):
        profiles.choose_profile(Settings(profile="demo", engines={"peek": {"window": 2}}))


@pytest.mark.parametrize("profile", ["demo", "embedded"])
def test_a_profile_with_engines_of_its_own_says_which_settings_it_does_not_use(profile: Any) -> None:
    both = profiles.choose_profile(Settings(profile=profile, diarizer="sortformer", routes="*=parakeet"))
    assert "PODCAST_DIARIZER and PODCAST_ROUTES are not used" in both.reason
    assert both.diarizer.name == "embedded"
    assert "not used" not in profiles.choose_profile(Settings(profile=profile)).reason


class Plain(Engine):
    """An engine that names no packages."""

    name: ClassVar[str] = "plain"
    __module__ = f"{diarizers.__name__}.plain"


def test_doctor_lists_an_engine_without_packages() -> None:
    member = next(m for m in profile_engines(choose_plain()) if m.engine.name == "plain")
    assert examine(member, {}, gpus=0).what == "diarizer plain"


def choose_plain() -> profiles.Profile:
    return profiles.Profile("demo", "", Plain(), Plain(), Plain())
