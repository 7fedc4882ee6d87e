"""Diarizers: one engine a file."""
