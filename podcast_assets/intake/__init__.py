"""What arrives: batches, archives, metadata."""
