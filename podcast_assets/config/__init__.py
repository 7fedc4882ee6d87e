"""Settings and the syntax of their values.

What belongs here: values and their validation. Nothing here imports Dagster, polars or an engine.
"""
