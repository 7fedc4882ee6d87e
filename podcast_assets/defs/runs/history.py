"""Removal of texts and titles from the events of past runs.

Events of this version contain neither. Those of earlier versions show the beginning of them in tables, as metadata of
materializations. A takedown removes these tables from the events of its batches, and no run, materialization or other metadata.
"""

import re
from collections.abc import Collection
from typing import Any

import dagster as dg

from podcast_assets.defs.dagster_internals import rewrite_materializations
from podcast_assets.store.schema import TEXT_COLUMNS
from podcast_assets.store.stage_names import TABLE_STAGES

_TABLE_WITH_TEXTS = re.compile(rf"\|(?: \w+ \|)* (?:{'|'.join(sorted(TEXT_COLUMNS))}) \|")
"""Header of a Markdown table (`preview`) with a column of texts or titles."""


def remove_texts(instance: dg.DagsterInstance, batches: Collection[str], *, dry_run: bool = False) -> int:
    """Remove the tables with texts or titles from the materializations of batches.

    Args:
        instance: instance with the events.
        batches: partitions of these events.
        dry_run: only count them.

    Returns:
        Number of events with such a table.
    """
    return rewrite_materializations(
        instance, [dg.AssetKey(a) for a in TABLE_STAGES], sorted(batches), _without_texts, dry_run=dry_run
    )


def _without_texts(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Metadata of a materialization without the tables that show texts or titles."""
    return [e for e in entries if not _TABLE_WITH_TEXTS.match(e["entry_data"].get("md_str") or "")]
