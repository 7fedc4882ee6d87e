"""Choice of the release target by the settings."""

from pathlib import Path

from podcast_assets.config.settings import Settings
from podcast_assets.release.targets.bucket import BucketTarget
from podcast_assets.release.targets.folder import FolderTarget
from podcast_assets.release.targets.protocol import ReleaseTarget
from podcast_assets.store.store import Store

FOLDER = "dataset"
"""Folder in the store if no other target is set."""


def choose_target(settings: Settings, store: Store) -> ReleaseTarget:
    """Choose the Hub repository if one is set, else the release folder, else `dataset/` in the store."""
    if settings.hub_repo:
        from podcast_assets.release.targets.hub import HubTarget

        return HubTarget(settings.hub_repo, private=settings.hub_private, gated=settings.hub_gated)
    target_store = Store.at(settings.release_folder) if settings.release_folder else store
    if target_store.is_local:
        return FolderTarget(Path(str(target_store.root)) / ("" if settings.release_folder else FOLDER))
    return BucketTarget(target_store, "" if settings.release_folder else FOLDER)
