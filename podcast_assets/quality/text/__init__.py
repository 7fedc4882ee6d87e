"""Measures of texts, which find what recognizers do when they fail, and optional columns about texts."""
