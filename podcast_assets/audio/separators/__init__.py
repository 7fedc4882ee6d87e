"""Separators of voice and music, one engine per file or folder."""
