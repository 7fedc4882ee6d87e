"""Fixtures of tests of faults: the short sample batch before a run, and after an undisturbed one."""

import pytest

from podcast_assets_tests.conftest import Place, SampleRun, SharedFolders
from podcast_assets_tests.faults import short


@pytest.fixture(scope="session")
def short_run(shared_folders: SharedFolders) -> SampleRun:
    """The short sample batch after an undisturbed run. All tests read this one."""
    return short.short_run(shared_folders)


@pytest.fixture
def short_place(place: Place, short_run: SampleRun) -> Place:
    """A place with nothing in it but the archive of the short sample batch."""
    short.lay_out(short_run, place)
    return place
