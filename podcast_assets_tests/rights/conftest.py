"""Fixtures shared with the tests of releases."""

from podcast_assets_tests.release.conftest import folder, hub, no_pictures, short_waits, store  # noqa: F401
