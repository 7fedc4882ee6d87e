"""Where copies of `dagster.yaml` find the run launcher: this path stays. The launcher lives in `defs/runs/launcher.py`."""

from podcast_assets.defs.runs.launcher import LocalRunLauncher as LocalRunLauncher
