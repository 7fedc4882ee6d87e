"""Word aligners, one engine per file or folder."""
