"""Releases: publish the sealed shards and tables of all batches as the next state of a dataset, in one commit.

What belongs here: planning, assembling, the card, targets and readers. What does not: whether something may be released (`rights`).
"""
