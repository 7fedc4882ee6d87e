"""Punctuators, one engine per file or folder."""
