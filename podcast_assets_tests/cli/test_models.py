"""`podcast-assets models …`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from podcast_assets.cli import main as cli
from podcast_assets.engines.engine import Engine
from podcast_assets.engines.model_cache import HubModel
from podcast_assets.engines.models import find_model
from podcast_assets.stages import profiles
from podcast_assets_tests import miniature
from podcast_assets_tests.doubles.hub import HubDouble, running_hub

WEIGHTS = bytes(range(256)) * 1000


class Toy(Engine):
    """An engine of the tests, with one model."""

    name = "toy"
    model: HubModel

    def hub_models(self) -> list[HubModel]:
        return [self.model]


COMMAND = """
import json, sys
from podcast_assets.cli import main as cli
from podcast_assets.engines.model_cache import HubModel
from podcast_assets.stages import profiles
from podcast_assets_tests.cli.test_models import Toy

repo, *arguments = sys.argv[1:]
profiles.engines_of = lambda profile: [Toy(model=HubModel(repo, ("config.json", "model.bin"), 1, "MIT"))]
cli.main(["models", *arguments])
"""


def command(folder: Path, hub: HubDouble, repo: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """`podcast-assets models …` in a process of its own, with an engine that needs a model."""
    return subprocess.run(
        [sys.executable, "-c", COMMAND, repo, *arguments],
        env={
            **os.environ,
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(folder / "huggingface"),
            "PODCAST_MODELS": str(folder / "models"),
            "PODCAST_PROFILE": "embedded",
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_list_fetch_verify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy = Toy(model=HubModel("acme/model", ("config.json", "model.bin"), 1, "MIT"))
    monkeypatch.setattr(profiles, "engines_of", lambda _: [toy])
    monkeypatch.setenv("PODCAST_PROFILE", "embedded")
    monkeypatch.setenv("PODCAST_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "huggingface"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    run = CliRunner().invoke

    (row,) = json.loads(run(cli.main, ["models", "list", "--json"]).stdout)["models"]
    assert row["where"] is None
    assert (row["engine"], row["repo"], row["chosen"], row["megabytes"]) == ("toy", "acme/model", "none", 1)
    assert "no models have been downloaded" in run(cli.main, ["models", "verify"]).stderr

    with running_hub(tmp_path / "hub") as hub:
        commit = hub.commit_model("acme/model", {"config.json": b"{}", "model.bin": WEIGHTS})
        fetched = command(tmp_path, hub, "acme/model", "fetch")
    assert fetched.returncode == 0, fetched.stderr
    assert f"acme/model: 0.3 MB to download (commit {commit[:12]})" in fetched.stderr

    (row,) = json.loads(run(cli.main, ["models", "list", "--json"]).stdout)["models"]
    assert (row["chosen"], row["revision"], row["bytes"]) == ("locked", commit, len(WEIGHTS) + 2)
    assert row["where"] == str(find_model(toy.model))
    assert commit[:12] in run(cli.main, ["models", "list"], env={"COLUMNS": "300"}).stdout

    fine = run(cli.main, ["models", "verify"])
    assert (fine.exit_code, fine.stdout) == (0, "")
    weights = (Path(row["where"]) / "model.bin").resolve()
    weights.write_bytes(WEIGHTS[::-1])
    wrong = run(cli.main, ["models", "verify", "acme/model"])
    assert wrong.exit_code == 1
    assert wrong.stdout.startswith("acme/model: model.bin has the SHA-256 ")
    assert str(weights) in wrong.stdout

    weights.unlink()
    refused = run(cli.main, ["models", "fetch", "acme/model"])
    assert refused.exit_code == 2
    assert refused.stderr.startswith(f"podcast-assets: acme/model is neither in {tmp_path / 'models'}")


def test_a_model_that_no_engine_needs_is_not_fetched() -> None:
    unknown = CliRunner().invoke(cli.main, ["models", "fetch", "--profile", "demo", "acme/unknown"])
    assert unknown.exit_code == 2
    assert "no engine needs acme/unknown; models that engines need: " in unknown.stderr


def test_a_profile_without_models_says_why_it_was_taken() -> None:
    engines = {"PODCAST_ENGINES": json.dumps(miniature.ENGINES)}
    nothing = CliRunner().invoke(cli.main, ["models", "fetch", "--profile", "demo"], env=engines)
    assert nothing.exit_code == 0
    assert nothing.stderr == "the profile demo (chosen because it was requested) needs no models to be fetched\n"
