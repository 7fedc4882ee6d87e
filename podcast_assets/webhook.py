"""Deprecated: moved to `podcast_assets.defs.webhook`. Importable from here for one release."""

import warnings

from podcast_assets.defs.webhook import is_authentic as is_authentic

warnings.warn(
    "podcast_assets.webhook has moved to podcast_assets.defs.webhook; this path goes with the next release",
    DeprecationWarning,
    stacklevel=2,
)
