"""What people load: transcripts, samples, shards."""
