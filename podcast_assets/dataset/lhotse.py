"""Deprecated: moved to `podcast_assets.release.readers.lhotse`. Importable from here for one release."""

import warnings

from podcast_assets.release.readers.lhotse import *  # noqa: F403

warnings.warn(
    "podcast_assets.dataset.lhotse has moved to podcast_assets.release.readers.lhotse; this path goes with the next release",
    DeprecationWarning,
    stacklevel=2,
)
