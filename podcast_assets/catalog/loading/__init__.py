"""Loading of the catalog from the store: what to load, the rows of a batch, and one transaction per batch."""
