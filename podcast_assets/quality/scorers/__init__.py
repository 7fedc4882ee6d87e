"""Scorers, one engine per file or folder."""
