"""Deterministic tar shards: content of samples, sealing, reading, and removal of episodes.

What belongs here: one batch's sealed shards. What does not: releases of many batches (`release`).
"""
