"""What the commands import, imported once (`forked`). Not huggingface_hub: it reads its settings when it is imported."""

import os
import sys

os.environ.pop("COLUMNS", None)  # rich would keep the width of this process

# ruff: noqa: F401
import av
import ctranslate2
import dagster
import matplotlib.pyplot
import onnxruntime
import pocketsphinx
import polars
import scipy.cluster.hierarchy
import scipy.fft
import scipy.spatial.distance
import sklearn.mixture
import tokenizers

from podcast_assets import cli, definitions, launch

assert "huggingface_hub" not in sys.modules
