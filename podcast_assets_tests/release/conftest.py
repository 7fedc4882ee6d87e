"""What tests of releases share: a store, a folder and a double of the Hub; and no time is spent on pictures, nor on waiting."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from podcast_assets.store.store import Store
from podcast_assets_tests import quick
from podcast_assets_tests.doubles.hub import HubDouble, running_hub


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is drawn. A module that tests pictures has a fixture of this name that changes nothing."""
    quick.draw_nothing(monkeypatch)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tried again is tried again at once."""
    quick.shorten_waits(monkeypatch)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store in a folder."""
    return Store.at(tmp_path / "store")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a dataset is released to; it is not there yet."""
    return tmp_path / "dataset"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubDouble]:
    """An empty double of the Hub, without Xet."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    with running_hub(tmp_path / "hub") as found:
        yield found
