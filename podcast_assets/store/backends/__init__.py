"""Storage backends: a folder of this machine, or a bucket of an object store. `Store` is the front of both."""
