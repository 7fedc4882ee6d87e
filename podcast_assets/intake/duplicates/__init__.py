"""Duplicates: the same bytes in other batches, and the same recording in other encodings."""
