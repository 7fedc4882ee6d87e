"""Podcasts into speech datasets, by Dagster assets."""
