"""A double of the Hugging Face Hub for datasets: the real client publishes to it and reads from it, by LFS and by Xet.

It is no hub. It knows repositories, commits with their parents, pull requests, tags and large files, keeps contents in a folder,
and does what a test tells it to: refuses, loses an answer, or stops in the middle of a request.
"""

from podcast_assets_tests.doubles.hub_datasets.faults import Fault
from podcast_assets_tests.doubles.hub_datasets.handlers import TOKEN
from podcast_assets_tests.doubles.hub_datasets.server import DatasetHub, running_dataset_hub

__all__ = ["TOKEN", "DatasetHub", "Fault", "running_dataset_hub"]
