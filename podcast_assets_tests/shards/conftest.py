"""Fixtures shared with the tests of releases."""

from podcast_assets_tests.release.conftest import no_pictures, short_waits, store  # noqa: F401
