"""The stub assets for a code server, which forks its runs from a process that has imported all this.

A code server starts a run by `multiprocessing` as a new Python, which imports for three seconds.
"""

import multiprocessing
from multiprocessing.context import ForkServerProcess, SpawnContext

from podcast_assets_tests.defs.stub_location import defs

__all__ = ["defs"]

multiprocessing.get_context("forkserver").set_forkserver_preload([__name__])
SpawnContext.Process = ForkServerProcess  # type: ignore[misc, assignment]
