"""Deprecated paths, importable for one release: see `podcast_assets.release.readers`."""
