"""Benchmarks fit the package as it is: each imports what it measures and explains itself. What they measure is not tested."""

import importlib
import pkgutil
import re
import sys

import pytest

import benchmarks
from podcast_assets_tests import forked
from podcast_assets_tests.conftest import Place


def print_help(name: str) -> None:
    sys.argv = [name, "--help"]
    importlib.import_module(f"benchmarks.{name}").main()


@pytest.mark.parametrize("name", [m.name for m in pkgutil.iter_modules(benchmarks.__path__) if m.name != "measured"])
def test_a_benchmark_can_be_imported_and_explains_itself(place: Place, name: str) -> None:
    # in a process of its own: some set environment variables when they are imported
    child = forked.start(print_help, name, environment=place.environment(), cwd=place.folder)
    status = child.wait()
    if missing := re.search(
        r"ModuleNotFoundError: No module named '(?!podcast_assets|benchmarks|tools)(\w+)", child.err
    ):
        pytest.skip(f"needs {missing[1]}")
    assert status == 0, child.err
    assert name in child.out
