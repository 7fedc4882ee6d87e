"""Errors, hashing, locks and other utilities that are independent of podcasts."""
