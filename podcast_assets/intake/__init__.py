"""Intake of batches: arrivals, archives, downloads, feeds, metadata and duplicates."""
