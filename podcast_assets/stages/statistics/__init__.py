"""Statistics of all batches: counts per batch, kept in one table of the store, and the totals and groups computed from them."""
