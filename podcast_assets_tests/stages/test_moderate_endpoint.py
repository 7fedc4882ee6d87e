"""The stage `moderate` with a served model, against a double of such a server: what ends the stage, and what it takes up again."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.config.settings import Settings, make_settings
from podcast_assets.moderation.policies.load import load_policy
from podcast_assets.moderation.protocol import ModerationPolicy
from podcast_assets.stages.compute.local import Local
from podcast_assets.stages.moderate import TEXT_COLUMNS, Moderate
from podcast_assets.stages.profiles import make_classifier
from podcast_assets.stages.results import StageRun
from podcast_assets.stages.runner import run_stage
from podcast_assets.stages.stage import Episode
from podcast_assets.store.store import Store
from podcast_assets_tests.doubles.classifier import write_policy
from podcast_assets_tests.doubles.completions import MODEL, Asked, Completions, Reply, chat, completions

CLEAN = chat("0", [("0", {"0": 1.0})])
FLAGGED = chat("1", [("1", {"1": 1.0})])
EPISODES = 4
QUESTIONS = 2 * EPISODES
"""A window with two labels each."""


def answer(asked: Asked) -> Reply:
    return FLAGGED if "a bad word" in asked.prompt else CLEAN


def episode(name: str, policy: ModerationPolicy) -> Episode:
    row = dict(zip(TEXT_COLUMNS, (f"{name}-0", 0.0, 1.0, "A", f"This is what {name} said.", "en"), strict=True))
    return Episode(name, f"{name}.mp3", 1.0, {"texts": pl.DataFrame([row]), "policy": policy.hash})


def settings(server: Completions, **more: Any) -> Settings:
    given = {"url": server.url, "model": MODEL, "concurrency": 1, "price_in": 1_000.0}
    return make_settings({f"moderation_{name}": value for name, value in (given | more).items()})


def run(folder: Path, given: Settings) -> StageRun:
    policy = load_policy(str(write_policy(folder / "own", "mine", engine="openai")))
    store = Store.at(folder / "store")
    stage = Moderate(store, make_classifier(policy, given), policy)
    episodes = [episode(f"e{i}", policy) for i in range(EPISODES)]
    return run_stage(stage, "b", episodes, store, Local(stage, 2))


def questions(server: Completions) -> list[str]:
    """Without the calibration probes."""
    return [a.prompt for a in server.asked if " said." in a.prompt]


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        ({"budget": 0.85}, "b: moderate: PODCAST_MODERATION_BUDGET=0.85 USD is used up"),
        ({}, "b: moderate: http://.* answers with status 402"),
    ],
)
def test_a_spent_budget_or_lost_server_fails_no_episode(tmp_path: Path, trouble: dict[str, Any], message: str) -> None:
    """The stage ends, no attempt is counted, and the next run asks only what was not answered."""

    def script(asked: Asked) -> Reply:
        if not trouble and len(questions(server)) > 3:
            return Reply({"error": {"message": "out of credits"}}, 402)
        return answer(asked)

    with completions(script) as server:
        with pytest.raises(EngineUnavailable, match=message):
            run(tmp_path, settings(server, **trouble))
        done, before = set(questions(server)[:3]), len(questions(server))
        assert 3 <= before < QUESTIONS
        server.script = answer
        result = run(tmp_path, settings(server))
        later = questions(server)[before:]
    assert result.failures.height == 0
    assert result.table().height == QUESTIONS
    assert not done & set(later)
    assert len(set(later)) == len(later)


def test_a_model_that_answers_the_wrong_way_round_judges_nothing(tmp_path: Path) -> None:
    with (
        completions(lambda asked: CLEAN if "a bad word" in asked.prompt else FLAGGED) as server,
        pytest.raises(Exception, match="calibration probes wrongly"),
    ):
        run(tmp_path, settings(server))
    assert questions(server) == []


def test_the_adapter_and_model_of_a_policy_are_part_of_what_made_its_rows(tmp_path: Path) -> None:
    changed = {"engine: openai": "engine: openai\nengine_options: {adapter: shieldgemma, model: mine}"}
    files = (
        write_policy(tmp_path / "a", "p", engine="openai"),
        write_policy(tmp_path / "b", "p", engine="openai", **changed),
    )
    given = make_settings({"moderation_url": "http://127.0.0.1:9", "moderation_model": "other"})
    identities = [make_classifier(load_policy(str(file)), given).identity() for file in files]
    chosen = [(i["settings"]["adapter"], i["settings"]["model"]) for i in identities]
    assert chosen == [("cope-b", "other"), ("shieldgemma", "mine")]
