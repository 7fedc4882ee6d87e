"""Dagster definitions: assets, sensors, jobs, schedules, checks, partitions, resources, and how runs start and end.

What belongs here: definitions, and the translation between Dagster and the packages below. What does not: the work on an episode,
which belongs to a stage. Only this package and `cli` import Dagster. Concepts: https://docs.dagster.io/getting-started/concepts
"""
