"""Tests of podcast_assets.intake.feeds."""
