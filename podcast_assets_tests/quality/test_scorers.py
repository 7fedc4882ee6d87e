"""A scorer of one's own: a file in the folder of scorers and its name in a setting, and nothing else."""

import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from podcast_assets.common.errors import Misconfigured
from podcast_assets.config.settings import Settings
from podcast_assets.engines import engine as engines
from podcast_assets.quality import scorers
from podcast_assets.quality.more_scores import add_score_columns
from podcast_assets.quality.policies.policy import apply_policy, load_policy
from podcast_assets.quality.scoring import LoadedScorers
from podcast_assets.stages import profiles
from podcast_assets.store.schema import QUALITY_SCORES, schema


@pytest.fixture
def utmos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A file in the folder of scorers, for as long as a test takes."""
    (tmp_path / "utmos_like.py").write_text(
        textwrap.dedent('''
            """Scorer `utmos-like`: the length of a segment for a score."""
            from typing import ClassVar
            from podcast_assets.engines.engine import Engine

            class UtmosLike(Engine):
                name: ClassVar[str] = "utmos-like"
                best: float = 5.0

                def load(self, device=None):
                    return self

                def score(self, audio, segments):
                    return [{"utmos": min(end - start, self.best), "music_share": 0.25} for start, end in segments]
        ''')
    )
    monkeypatch.setattr(scorers, "__path__", [*scorers.__path__, str(tmp_path)])
    engines.engines.cache_clear()
    yield
    engines.engines.cache_clear()


@pytest.mark.usefixtures("utmos")
def test_a_file_and_a_setting_are_all_that_a_scorer_needs():
    settings = Settings(profile="demo", scorers="utmos-like", dnsmos_hop=9, engines={"utmos-like": {"best": 4.0}})
    profile = profiles.choose_profile(settings)
    assert [e.name for e in profiles.engines_of(profile)][-2:] == ["dnsmos", "utmos-like"]
    rng = np.random.default_rng(0)
    audio = rng.normal(0, 0.01, 16_000 * 6).astype(np.float32)
    short, long = profile.scorer.load().score(audio, [(0.0, 1.0), (0.5, 6.0)])
    assert (short["utmos"], long["utmos"], short["music_share"]) == (1.0, 4.0, 0.25)
    assert short["dnsmos_ovrl"] is not None


@pytest.mark.usefixtures("utmos")
def test_the_settings_of_a_scorer_are_part_of_its_identity():
    def identity(**settings: object) -> dict[str, object]:
        return profiles.choose_profile(
            Settings(profile="demo", scorers="utmos-like", engines=settings)
        ).scorer.identity()  # type: ignore[arg-type]

    assert identity() == identity() != identity(**{"utmos-like": {"best": 4.0}})


def test_an_unknown_scorer_is_reported_with_the_known_ones():
    with pytest.raises(
        Misconfigured, match="no scorer is called 'utmos'; there are: audio-tagging, distillmos, dnsmos"
    ):
        profiles.choose_profile(Settings(profile="demo", scorers="utmos"))


class Fixed:
    """A scorer that says the same of everything."""

    def __init__(self, *answers: dict[str, float | None]) -> None:
        self._answers = list(answers)

    def score(self, audio, segments):
        return self._answers


def test_scorers_that_contradict_each_other_or_miss_a_segment_are_named():
    audio = np.zeros(10, np.float32)
    with pytest.raises(ValueError, match="the scorer b returns scores that another scorer returns: utmos"):
        LoadedScorers([("a", Fixed({"utmos": 1.0})), ("b", Fixed({"utmos": 2.0}))]).score(audio, [(0, 1)])
    with pytest.raises(ValueError, match="the scorer a scored 1 of 2 segments"):
        LoadedScorers([("a", Fixed({"utmos": 1.0}))]).score(audio, [(0, 1), (1, 2)])


@pytest.mark.parametrize("name", ["duration", "words_per_second", "text", "characters", "podcast_id"])
def test_a_scorer_may_not_return_columns_of_other_stages(name: str):
    with pytest.raises(ValueError, match=f"the scorer a returns reserved columns: {name}"):
        LoadedScorers([("a", Fixed({name: 1.0}))]).score(np.zeros(10, np.float32), [(0, 1)])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_has_no_meaning_is_none_and_not_nan(value: float):
    with pytest.raises(ValueError, match="the scorer a returned no number for utmos"):
        LoadedScorers([("a", Fixed({"utmos": value}))]).score(np.zeros(10, np.float32), [(0, 1)])
    assert LoadedScorers([("a", Fixed({"utmos": None}))]).score(np.zeros(10, np.float32), [(0, 1)]) == [{"utmos": None}]


def test_policies_ask_for_further_scores_by_name(tmp_path: Path):
    names = ["segment_id", "more_scores"]
    scores = pl.DataFrame(
        {
            "segment_id": ["good", "bad", "unscored"],
            "more_scores": [[{"name": "utmos", "value": 4.0}], [{"name": "utmos", "value": 2.0}], []],
        },
        schema={k: v for k, v in schema(QUALITY_SCORES).items() if k in names},
    )
    path = tmp_path / "mine.toml"
    path.write_text(
        'name = "mine"\nversion = 1\nscores = ["utmos"]\n[[rules]]\ncolumn = "utmos"\nminimum = 3\nreason = "sounds bad"'
    )
    policy = load_policy(path)
    assert apply_policy(add_score_columns(scores), policy)["keep"].to_list() == [True, False, False]
    with pytest.raises(
        Misconfigured, match="asks for the scores utmos, which no scorer returned: add a scorer to PODCAST_SCORERS"
    ):
        apply_policy(add_score_columns(scores.filter(segment_id="unscored")), policy)
    nothing = apply_policy(add_score_columns(scores.clear()), policy)
    assert nothing.columns == [*names, "keep", "reject_reasons"], "a batch without segments lacks no scorer"
