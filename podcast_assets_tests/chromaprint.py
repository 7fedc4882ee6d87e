"""Whether Chromaprint is on this machine."""

import pytest

from podcast_assets.common.errors import Misconfigured
from podcast_assets.intake.duplicates.chromaprint import load_chromaprint


def _missing() -> str:
    try:
        load_chromaprint()
    except Misconfigured as error:
        return str(error)
    return ""


needs_chromaprint = pytest.mark.skipif(bool(_missing()), reason=_missing())
"""Mark of tests that make fingerprints."""
