"""The front door: what Dagster loads, for the settings of the environment. Everything it names lives in `podcast_assets.defs`."""

from podcast_assets.defs.build import build_definitions

defs = build_definitions()
