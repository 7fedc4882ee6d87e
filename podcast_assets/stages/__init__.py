"""Running one stage over the episodes of a batch."""
