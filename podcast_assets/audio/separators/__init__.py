"""Separators of voice and music: one engine a file."""
