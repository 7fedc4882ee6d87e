"""What several tests share: the sample batch, taken all the way once, and the real recordings where they are at hand."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from podcast_assets.demo import BATCH_NAME
from podcast_assets.store import Store

CHECKOUT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Place:
    """A folder with a store and a Dagster instance of its own, and the commands run in it."""

    folder: Path

    @property
    def store(self) -> Store:
        return Store.at(self.folder / "store")

    def environment(self, **extra: str) -> Mapping[str, str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("PODCAST_", "DAGSTER_"))}
        return clean | {
            "PODCAST_STORE": str(self.folder / "store"),
            "DAGSTER_HOME": str(self.folder / "dagster_home"),
            "HF_HUB_OFFLINE": "1",
            "PODCAST_MODELS": str(self.folder / "models"),
            # one window a segment: scores a little off the reference, several times as fast
            "PODCAST_DNSMOS_HOP": "9",
            "COLUMNS": "200",
            **extra,
        }

    def command(self, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `podcast-assets …` and wait for its end."""
        return subprocess.run(
            [sys.executable, "-m", "podcast_assets.cli", *map(str, arguments)],
            cwd=self.folder,
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            check=False,
        )


@dataclass(frozen=True)
class SampleRun:
    """The sample batch after `podcast-assets demo --json`."""

    place: Place
    report: dict[str, Any]
    log: str
    """Standard error of the command."""

    @property
    def store(self) -> Store:
        return self.place.store

    @property
    def batch(self) -> str:
        return BATCH_NAME


@pytest.fixture(scope="session")
def sample_run(tmp_path_factory: pytest.TempPathFactory) -> SampleRun:
    """The sample batch, from its archive to shards, by the real command with the real engines of the profile demo."""
    place = Place(tmp_path_factory.mktemp("sample"))
    result = place.command("demo", "--json")
    assert result.returncode == 0, result.stderr
    return SampleRun(place, json.loads(result.stdout), result.stderr)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An empty place."""
    return Place(tmp_path)


@pytest.fixture(scope="session")
def real_audio() -> Path:
    """Real recordings that lie beside the checkout; their terms keep them out of it."""
    folder = CHECKOUT.parent / "shared" / "audio"
    if not folder.is_dir():
        pytest.skip("the real recordings are not beside this checkout")
    return folder
