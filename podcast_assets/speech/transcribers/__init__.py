"""Transcribers, one engine per file or folder."""
