"""All that Dagster knows by name: assets, sensors, jobs, schedules, checks, partitions, resources and runs.

What belongs here: definitions, and the translation between Dagster and the rooms below. What does not: the work on an episode,
which is a stage's. Only this package and `cli` import Dagster. Concepts: https://docs.dagster.io/getting-started/concepts
"""
