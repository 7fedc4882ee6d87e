"""Releases: the sealed shards and tables of all batches become the next state of a published dataset, in one commit.

What belongs here: planning, assembling, the card, targets and readers. What does not: whether something may be released (`rights`).
"""
