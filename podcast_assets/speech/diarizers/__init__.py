"""Diarizers, one engine per file or folder."""
