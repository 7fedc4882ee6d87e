"""Podcast feeds: which there are, what they hold, what of it is new, and what its publishers allow."""
