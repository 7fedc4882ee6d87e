"""Reviews in the store, under `reviews/`: every decision, what holds of each segment, and the measured error rates.

They are exported from the catalog's table of decisions (asset `review_decisions`). Releases and the catalog read them; no stage
does, and no batch waits for them.
"""

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import polars as pl

from podcast_assets.store.schema import Columns, empty_table
from podcast_assets.store.schema_beside import REVIEWED_SEGMENTS
from podcast_assets.store.store import STORE_READERS, DamagedTable, Store

FOLDER = "reviews"
SEGMENTS = f"{FOLDER}/segments"
"""Folder of the tables REVIEWED_SEGMENTS, `<batch>.parquet`."""
DECISIONS = f"{FOLDER}/decisions"
"""Folder of the tables REVIEW_DECISIONS, `<batch>.parquet`."""
TRANSCRIPTS = f"{FOLDER}/transcripts"
"""Folder of reviewed transcripts, `<batch>/<episode_id>.<suffix>`."""
REPORT = f"{FOLDER}/report.json"


def reviewed_key(batch: str) -> str:
    """Key of the table REVIEWED_SEGMENTS of a batch."""
    return f"{SEGMENTS}/{batch}.parquet"


def decisions_key(batch: str) -> str:
    """Key of the table REVIEW_DECISIONS of a batch."""
    return f"{DECISIONS}/{batch}.parquet"


def reviewed_transcript_key(batch: str, episode_id: str, suffix: str) -> str:
    """Key of a reviewed transcript."""
    return f"{TRANSCRIPTS}/{batch}/{episode_id}.{suffix}"


def read_reviewed_segments(store: Store, batch: str) -> pl.DataFrame:
    """Read what holds of a batch's segments, columns REVIEWED_SEGMENTS; empty if nothing was decided.

    Raises:
        DamagedTable: the table is damaged; the message says what to do.
    """
    try:
        found = store.read_table(reviewed_key(batch), REVIEWED_SEGMENTS)
    except DamagedTable as error:
        raise DamagedTable(f"{error}: run `podcast-assets review publish --again`") from error
    return empty_table(REVIEWED_SEGMENTS) if found is None else found


def read_all_reviewed_segments(store: Store, batches: Iterable[str]) -> pl.DataFrame:
    """Read what holds of the segments of some batches: columns REVIEWED_SEGMENTS and `batch`.

    Raises:
        DamagedTable: a table is damaged; the message says what to do.
    """
    known = set(store.table_names(SEGMENTS))
    chosen = sorted(known.intersection(batches))
    with ThreadPoolExecutor(STORE_READERS) as readers:
        tables = list(readers.map(lambda batch: read_reviewed_segments(store, batch), chosen))
    rows = [table.with_columns(batch=pl.lit(batch)) for batch, table in zip(chosen, tables, strict=True)]
    return pl.concat([empty_table(REVIEWED_SEGMENTS).with_columns(batch=pl.lit("")), *rows])


def write_if_changed(store: Store, key: str, rows: pl.DataFrame, columns: Columns) -> bool:
    """Write a table unless the store has the same rows; without rows, remove it. Return whether anything changed."""
    try:
        before = store.read_table(key, columns)
    except DamagedTable:
        before = None
    if rows.is_empty():
        if not store.exists(key):
            return False
        store.remove(key)
        return True
    if before is not None and before.equals(rows):
        return False
    store.write_table(key, rows)
    return True


def read_report(store: Store) -> Mapping[str, Any] | None:
    """Read the measured error rates and agreement, as `review.report` writes them; None if nothing was measured."""
    if not store.exists(REPORT):
        return None
    found = json.loads(store.read(REPORT))
    return found if isinstance(found, dict) else None


def write_report(store: Store, report: Mapping[str, Any]) -> bool:
    """Write the report unless the store has the same one; return whether it was written."""
    data = (json.dumps(report, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()
    if store.exists(REPORT) and store.read(REPORT) == data:
        return False
    store.write(REPORT, data)
    return True
