"""Python paths that documents named before the modules moved: importable for one release, with a warning."""

import importlib
import sys

import pytest

MOVED = {
    "podcast_assets.dataset.features": ("podcast_assets.release.readers.features", "features"),
    "podcast_assets.dataset.lhotse": ("podcast_assets.release.readers.lhotse", "lazy_cuts"),
    "podcast_assets.webhook": ("podcast_assets.defs.webhook", "is_authentic"),
}


@pytest.mark.parametrize("old", MOVED)
def test_an_old_path_warns_and_gives_what_has_moved(old: str) -> None:
    new, name = MOVED[old]
    sys.modules.pop(old, None)
    with pytest.warns(DeprecationWarning, match=f"{old} has moved to {new}"):
        found = importlib.import_module(old)
    assert getattr(found, name) is getattr(importlib.import_module(new), name)


def test_the_path_of_the_run_launcher_stays(recwarn: pytest.WarningsRecorder) -> None:
    sys.modules.pop("podcast_assets.run_launcher", None)
    old = importlib.import_module("podcast_assets.run_launcher")
    assert old.LocalRunLauncher is importlib.import_module("podcast_assets.defs.runs.launcher").LocalRunLauncher
    assert not [w for w in recwarn if "has moved" in str(w.message)]
