"""Temporary files and folders of this project."""

SCRATCH_PREFIX = "podcast-assets-scratch-"
"""Prefix of their names, by which the janitor finds those that a killed process left."""
