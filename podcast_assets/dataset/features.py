"""Deprecated: moved to `podcast_assets.release.readers.features`. Importable from here for one release."""

import warnings

from podcast_assets.release.readers.features import *  # noqa: F403

warnings.warn(
    "podcast_assets.dataset.features has moved to podcast_assets.release.readers.features; this path goes with the next release",
    DeprecationWarning,
    stacklevel=2,
)
