"""The one partition of this project: the batch."""

import dagster as dg

BATCHES = "batch"

batches = dg.DynamicPartitionsDefinition(name=BATCHES)
"""One partition per batch. The sensor `new_batches`, `podcast-assets run` and `podcast-assets add` add to it."""
