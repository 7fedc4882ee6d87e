"""Metadata of assets and materializations for the Dagster UI: counts, previews of tables, pictures, and column schemas."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
import polars as pl

from podcast_assets.common.printable import printable
from podcast_assets.stages.results import StageRun
from podcast_assets.store.schema import TABLES, TEXT_COLUMNS
from podcast_assets.store.store import Store, table_key
from podcast_assets.transcripts.pages import escape_markdown

PREVIEW_ROWS = 12
_TEXT_LIMIT = 90


def column_schema(asset: str, more: Mapping[str, tuple[Any, str]] | None = None) -> dict[str, dg.TableSchema]:
    """Return definition metadata: the columns of an asset's table, and more if there are any, with types and descriptions."""
    columns = [dg.TableColumn(n, str(t), description=d) for n, (t, d) in {**TABLES[asset], **(more or {})}.items()]
    return {"dagster/column_schema": dg.TableSchema(columns=columns)}


def table_facts(store: Store, asset: str, batch: str, rows: pl.DataFrame) -> dict[str, Any]:
    """Return the metadata that all tables have: number of rows and location."""
    return {
        "dagster/partition_row_count": rows.height,
        "dagster/uri": str(store.path(table_key(asset, batch))),
    }


def run_facts(run: StageRun) -> dict[str, Any]:
    """Return metadata of a stage's run: episodes done, reused and failed, hours and speed of this run, and a table of failures."""
    done = run.provenance.height
    facts: dict[str, Any] = {
        "episodes_done": done,
        "episodes_taken_from_before": done + run.failures.height - run.ran,
        "episodes_failed": run.failures.height,
        "hours_done_now": round(run.audio_seconds / 3600, 4),
        "seconds": round(run.seconds, 2),
    }
    if run.audio_seconds:
        facts["x_real_time"] = round(run.audio_seconds / run.seconds, 1)
    if run.failures.height:
        facts["failures"] = preview(run.failures, ["source", "error_type", "message", "attempts", "permanent"], rows=50)
    return facts


def preview(table: pl.DataFrame, columns: Sequence[str], *, rows: int = PREVIEW_ROWS) -> dg.MarkdownMetadataValue:
    """Render the first rows as a Markdown table, with long values cut off.

    Dagster keeps events for ever, and a takedown would have to change those with texts.

    Raises:
        ValueError: a column holds what people said, or a title.
    """
    if shown := TEXT_COLUMNS.intersection(columns):
        raise ValueError(f"events must not contain {', '.join(sorted(shown))}")
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    lines += [f"| {' | '.join(_cell(v) for v in row)} |" for row in table.select(columns).head(rows).iter_rows()]
    if table.height > rows:
        lines.append(f"\n… and {table.height - rows} more")
    return dg.MetadataValue.md("\n".join(lines))


def picture(png: bytes, title: str) -> dg.MarkdownMetadataValue:
    """Embed a PNG picture in metadata."""
    return dg.MetadataValue.md(f"![{title}](data:image/png;base64,{base64.b64encode(png).decode()})")


def counts(values: Mapping[str, int]) -> str:
    """Format named counts as one line, the largest first."""
    return ", ".join(f"{n} {k}" for k, n in sorted(values.items(), key=lambda kv: (-kv[1], kv[0]))) or "none"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = f"{value:.3g}" if isinstance(value, float) and abs(value) < 1 else str(value)
    if isinstance(value, float) and abs(value) >= 1:
        text = f"{value:.2f}"
    text = text if len(text) <= _TEXT_LIMIT else f"{text[: _TEXT_LIMIT - 1]}…"
    return escape_markdown(printable(" ".join(text.split())))  # after the cut, which could leave half an escape
