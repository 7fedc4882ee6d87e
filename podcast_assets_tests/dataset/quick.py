"""Parts of a release that take time and are not what is tested: pictures of the card, and waiting until the Hub may answer."""

import hashlib
import io
import time
import types
from typing import Any

import polars as pl
import pytest
from PIL import Image


def replace_pictures(patch: pytest.MonkeyPatch) -> None:
    """Let cards show pictures of a few pixels, others for other rows."""

    def distributions(rows: pl.DataFrame, _limits: Any = None) -> bytes:
        return _picture(rows.select("segment_id", "duration", "keep", "language", "speaker").rows())

    def waterfall(losses: pl.DataFrame, hours: float, *, policy: str) -> bytes:
        return _picture(losses.rows(), hours, policy)

    patch.setattr("podcast_assets.plots_quality.distributions", distributions)
    patch.setattr("podcast_assets.plots_quality.waterfall", waterfall)


def shorten_waits(patch: pytest.MonkeyPatch) -> None:
    """Let releases and the client of the Hub try again at once, where they would wait for seconds."""
    short = types.SimpleNamespace(**{**vars(time), "sleep": lambda seconds: time.sleep(min(seconds, 0.01))})
    for module in ("podcast_assets.dataset.release", "huggingface_hub.utils._http", "tenacity.nap"):
        patch.setattr(f"{module}.time", short)


def _picture(*shown: object) -> bytes:
    out = io.BytesIO()
    Image.frombytes("L", (8, 4), hashlib.sha256(repr(shown).encode()).digest()).save(out, "png")
    return out.getvalue()
