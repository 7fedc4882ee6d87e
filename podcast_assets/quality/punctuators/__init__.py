"""Punctuators: one engine a file."""
