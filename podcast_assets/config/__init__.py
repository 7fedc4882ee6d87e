"""Settings and profiles: everything that people set, each in one place.

What belongs here: values and their validation. Nothing here imports Dagster, polars or an engine.
"""
