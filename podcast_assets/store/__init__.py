"""The store: keys, tables and their schemas, checkpoints and commits.

What belongs here: where files are stored and how they are written atomically. What does not: the meaning of the rows.
"""
