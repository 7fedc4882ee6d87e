"""What the commands import, imported once (`forked`). Not huggingface_hub: it reads its settings when it is imported."""

import os
import sys

os.environ.pop("COLUMNS", None)  # rich would keep the width of this process

# ruff: noqa: F401
import alembic.command
import av
import ctranslate2
import dagster
import dagster._core.execution.execute_in_process
import dagster._core.instance.factory
import dagster._core.remote_representation
import dagster._core.storage.legacy_storage
import matplotlib.pyplot
import onnxruntime
import pocketsphinx
import polars
import scipy.cluster.hierarchy
import scipy.fft
import scipy.spatial.distance
import sqlalchemy.dialects.sqlite
import tokenizers

from podcast_assets.cli import main as cli
from podcast_assets.defs import build as definitions
from podcast_assets.defs import instance, launch
from podcast_assets.defs.runs import history as run_history
from podcast_assets.quality import plots as plots_quality
from podcast_assets.release.readers import verify
from podcast_assets.rights import takedown
from podcast_assets_tests import forked

assert "huggingface_hub" not in sys.modules
