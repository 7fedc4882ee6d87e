"""Deterministic tar shards: what goes into a sample, sealing, reading back, and shards without some of their episodes.

What belongs here: one batch's sealed shards. What does not: releases of many batches (`release`).
"""
