"""Verification of sealed shards against the table of their asset."""

import polars as pl

from podcast_assets.shards.sealing import FORMAT_COLUMNS, PLACEMENT_COLUMNS, SEGMENT_GRAIN, Grain
from podcast_assets.shards.tar_shards import SamplePlacement, read_shard
from podcast_assets.shards.thinning import sealed_content
from podcast_assets.store.store import Store, sealed_key


def find_sealed(
    store: Store,
    batch: str,
    version: str,
    content: pl.DataFrame,
    table: pl.DataFrame | None,
    grain: Grain = SEGMENT_GRAIN,
) -> pl.DataFrame | None:
    """Return the placements of a batch already sealed with this content, if its shards are undamaged; else None."""
    if table is None or set(table[grain.key]) != set(content[grain.key]):
        return None
    if sealed_content(store, grain, batch, table) != version or find_damaged_shards(store, batch, table, grain):
        return None
    return table.select(grain.key, *PLACEMENT_COLUMNS, *FORMAT_COLUMNS)


def find_damaged_shards(store: Store, batch: str, table: pl.DataFrame, grain: Grain = SEGMENT_GRAIN) -> list[str]:
    """Read all shards of a table and compare them with it; return one message per damaged shard."""
    problems = []
    for (path,), rows in table.partition_by("shard", as_dict=True).items():
        problem = _shard_problem(store, sealed_key(batch, str(path)), rows.select(grain.key, *PLACEMENT_COLUMNS))
        if problem:
            problems.append(f"{path}: {problem}")
    return problems


def _shard_problem(store: Store, key: str, rows: pl.DataFrame) -> str | None:
    if not store.exists(key):
        return "it is missing"
    try:
        with store.local_copy(key) as path, path.open("rb") as f:
            digest, found = read_shard(f)
    except ValueError as error:
        return str(error)
    expected = [SamplePlacement(k, "", *rest) for k, *rest in rows.drop("shard", "shard_sha256").iter_rows()]
    if digest != rows["shard_sha256"][0]:
        return f"its sha256 is {digest[:12]}…, the table says {rows['shard_sha256'][0][:12]}…"
    if found != expected:
        return f"it holds {len(found)} samples that are not those of the table ({len(expected)})"
    return None
