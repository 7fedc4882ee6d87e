"""Where a store's bytes lie: in a folder of this machine, or in a bucket of an object store. `Store` is the front of both."""
