"""Dataset card: README.md and pictures."""
