"""Storage backends of `Store`: a folder on this machine or a bucket of an object store."""
