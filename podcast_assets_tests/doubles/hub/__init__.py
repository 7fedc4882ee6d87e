"""A double of the Hugging Face Hub on the loopback interface, for model and dataset repositories.

The real client downloads from it and publishes to it, by LFS and by Xet. The double knows repositories, commits with their
parents, pull requests, tags, gated repositories and large files; it does not redirect to a CDN. It keeps contents in a folder.
A test can make it refuse requests, lose answers, cut or damage downloads, or stop in the middle of a request (`Fault`).

The client reads HF_ENDPOINT when it is imported: tests pass the double's address as an argument, or run the client in a process
of its own.
"""

from podcast_assets_tests.doubles.hub.access import TOKEN
from podcast_assets_tests.doubles.hub.faults import Fault
from podcast_assets_tests.doubles.hub.server import HubDouble, running_hub

__all__ = ["TOKEN", "Fault", "HubDouble", "running_hub"]
