from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def recordings() -> Path:
    folder = Path(__file__).resolve().parents[2].parent / "shared" / "audio"
    if not folder.is_dir():
        pytest.skip("the folder of real recordings is not beside this checkout")
    return folder
