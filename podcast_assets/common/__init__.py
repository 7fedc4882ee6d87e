"""Errors, hashing, locks and other small things that know nothing of podcasts."""
