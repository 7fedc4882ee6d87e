"""The store: keys, tables and their schemas, checkpoints and commits.

What belongs here: where things lie and how they are written so that a crash leaves no half file. What does not: what the rows mean.
"""
