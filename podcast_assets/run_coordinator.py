"""Where copies of `dagster.yaml` find the run coordinator: this path stays. It lives in `defs/runs/coordinator.py`."""

from podcast_assets.defs.runs.coordinator import PausableRunCoordinator as PausableRunCoordinator
