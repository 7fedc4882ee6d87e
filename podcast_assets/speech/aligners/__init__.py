"""Word aligners: one engine a file."""
