"""Transcribers: one engine a file."""
