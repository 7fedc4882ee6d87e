"""The one partition of this project: the batch."""

import dagster as dg

BATCHES = "batch"

batches = dg.DynamicPartitionsDefinition(name=BATCHES)
"""One partition per batch. The sensor `new_batches`, `podcast-assets run` and `podcast-assets add` add to it."""

PARTITION_RANGE_START = "dagster/asset_partition_range_start"
PARTITION_RANGE_END = "dagster/asset_partition_range_end"
"""Dagster's own tags of a run over a range of partitions."""
