"""Intake of batches: arrivals, archives, downloads, feeds, metadata and duplicates.

What belongs here: everything from an arrival to the rows of `raw_audio`, and what publishers state about rights. What does not:
whether an episode may be released (`rights`).
"""
