"""What statistics can be grouped by; commands offer it without importing polars."""

GROUPS = ("day", "hour", "language", "podcast", "engine", "gpu", "status")
