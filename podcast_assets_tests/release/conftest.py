"""Fixtures of tests of releases: a store, a folder and a double of the Hub, without pictures and waits."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from podcast_assets.store.store import Store
from podcast_assets_tests import quick
from podcast_assets_tests.doubles.hub import HubDouble, running_hub


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no pictures. A module that tests pictures overrides this fixture by one that does nothing."""
    quick.draw_nothing(monkeypatch)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry without waiting."""
    quick.shorten_waits(monkeypatch)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store in a folder."""
    return Store.at(tmp_path / "store")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Folder that a dataset is released to; it does not exist yet."""
    return tmp_path / "dataset"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubDouble]:
    """An empty double of the Hub, without Xet."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    with running_hub(tmp_path / "hub") as found:
        yield found
