"""Without what takes time and is not what is tested: the drawing of pictures, and waiting before something is tried again."""

import hashlib
import io
import time
import types
from collections.abc import Callable

import pytest
from PIL import Image


def draw_nothing(patch: pytest.MonkeyPatch) -> None:
    """Let every kind of picture be a few pixels of its own, which are the same whatever it is to show."""

    def draw_figure(paint: Callable[..., None], **_size: float) -> bytes:
        out = io.BytesIO()
        pixels = hashlib.sha256(paint.__qualname__.encode()).digest()
        Image.frombytes("L", (8, 4), pixels).save(out, "png")
        return out.getvalue()

    for module in ("common.plots", "quality.plots"):
        patch.setattr(f"podcast_assets.{module}.draw_figure", draw_figure)


def shorten_waits(patch: pytest.MonkeyPatch) -> None:
    """Let releases and the client of the Hub try again at once, where they would wait for seconds."""
    short = types.SimpleNamespace(**{**vars(time), "sleep": lambda seconds: time.sleep(min(seconds, 0.01))})
    for module in ("podcast_assets.release.release", "huggingface_hub.utils._http", "tenacity.nap"):
        patch.setattr(f"{module}.time", short)
