"""Moderation policies: Markdown files that people write, and those of the package."""
