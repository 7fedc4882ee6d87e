"""Readers of a published dataset: verify, sample, `datasets` features, Lhotse."""
