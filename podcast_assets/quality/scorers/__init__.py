"""Scorers: one engine a file."""
