"""The card of a dataset: its README.md and pictures, from what is released."""
