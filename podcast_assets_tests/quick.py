"""Shortcuts for tests about something else: placeholders instead of pictures, and retries without waiting."""

import hashlib
import io
import time
import types
from collections.abc import Callable

import pytest
from PIL import Image


def draw_nothing(patch: pytest.MonkeyPatch) -> None:
    """Replace every kind of picture by a few pixels, the same whatever the picture would show."""

    def draw_figure(paint: Callable[..., None], **_size: float) -> bytes:
        out = io.BytesIO()
        pixels = hashlib.sha256(paint.__qualname__.encode()).digest()
        Image.frombytes("L", (8, 4), pixels).save(out, "png")
        return out.getvalue()

    for module in ("common.plots", "quality.plots"):
        patch.setattr(f"podcast_assets.{module}.draw_figure", draw_figure)


def shorten_waits(patch: pytest.MonkeyPatch) -> None:
    """Let releases and the client of the Hub retry at once, where they would wait for seconds."""
    short = types.SimpleNamespace(**{**vars(time), "sleep": lambda seconds: time.sleep(min(seconds, 0.01))})
    for module in ("podcast_assets.release.release", "huggingface_hub.utils._http", "tenacity.nap"):
        patch.setattr(f"{module}.time", short)
