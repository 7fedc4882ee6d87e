"""The page docs/reference/columns.md, from the schemas of the tables."""

from typing import Any

import polars as pl

from podcast_assets.common.warned import KINDS
from podcast_assets.store import schema, schema_beside
from podcast_assets.store.schema import Columns
from tools.docs.markdown import table

INTRODUCTION = """# Tables and columns

Tables are parquet files in the store. Times and durations are seconds, float64; times of segments and words count from the start of
the episode. A missing value is null, never NaN and never a placeholder.
"""

BATCH_TABLES = {
    "raw_audio": "One row per file of the batch.",
    "diarized_segments": "One row per segment: a stretch of one speaker.",
    "transcripts": "One row per segment.",
    "quality_scores": "One row per segment.",
    "hf_shards": "One row per sample: a segment that was sealed into a shard.",
    "second_opinions": "One row per segment, where `PODCAST_SECOND_TRANSCRIBER` is set.",
    "punctuated_texts": "One row per segment, where `PODCAST_TEXT_CARE` asks for punctuation.",
    "content_flags": "One row per window of a transcript and label of a moderation policy, where `PODCAST_MODERATION` asks for it.",
    "episode_shards": "One row per episode sealed as a whole, where `PODCAST_GRAINS` asks for episodes.",
}
"""Tables that stages commit, `tables/<name>/<batch>.parquet` → their grain."""

OTHER_TABLES: dict[str, tuple[Columns, str]] = {
    "provenance/<stage>/<batch>.parquet": (
        schema.PROVENANCE,
        "One row per finished episode of a stage: what made it, where, and how long it took.",
    ),
    "failures/<stage>/<batch>.parquet": (schema.FAILURES, "One row per episode that a stage could not process."),
    "diarization/<batch>/<episode_id>.parquet": (
        schema_beside.SPEAKERS,
        "One row per speaker of the episode, beside the full diarization as RTTM.",
    ),
    "references/<batch>/<episode_id>.parquet": (
        schema_beside.REFERENCES,
        "One row per cue of the publisher's transcript.",
    ),
    "rights/": (
        schema_beside.RIGHTS,
        "The rights ledger: one row per episode of a feed, and another each time the feed's statement changes.",
    ),
    "feed_state/feeds.parquet": (schema_beside.FEED_STATE, "One row per feed."),
    "feed_state/pending.parquet": (schema_beside.PENDING, "One row per new episode that waits for a batch."),
    "fingerprints/<batch>.parquet": (schema_beside.FINGERPRINTS, "One row per episode: its acoustic fingerprint."),
    "near_duplicates/<batch>.parquet": (
        schema_beside.NEAR_DUPLICATES,
        "One row per pair of episodes that sound the same though their bytes differ.",
    ),
    "statistics/batches.parquet": (
        schema_beside.STATISTICS,
        "Counts for `podcast-assets stats`: several rows per batch. It is counted again if it is removed.",
    ),
    "statistics/totals.parquet": (
        schema_beside.STATISTICS,
        "The same counts, summed over all batches, and one row per batch of the kind `batch`. It is made again if it is removed.",
    ),
    "takedowns/": (schema_beside.TAKEDOWNS, "One record per takedown. It never holds content."),
    "overrides/": (
        schema_beside.OVERRIDES,
        "One record per episode that `podcast-assets process` gave engines of its own; `--undo` removes it.",
    ),
    "reviews/segments/<batch>.parquet": (
        schema_beside.REVIEWED_SEGMENTS,
        "One row per segment that reviewers decided anything of: what holds. The seven columns after the ids are in the metadata "
        "of a release too.",
    ),
    "reviews/decisions/<batch>.parquet": (
        schema_beside.REVIEW_DECISIONS,
        "One row per decision of a reviewer, in order.",
    ),
    "discards/": (schema_beside.DISCARDS, "One record per episode that was discarded; `--undo` removes it."),
    "metadata/<language>/<batch>.parquet": (
        schema_beside.REVIEWED,
        "In a published dataset: one row per released segment, with the columns of `hf_shards` and these.",
    ),
    "episodes/<batch>.parquet": (
        schema_beside.RELEASED_EPISODES,
        "In a published dataset: one row per released episode.",
    ),
}
"""Where a table lies → its columns and its grain."""

WARNINGS = """
## Kinds of warnings

In the column `warnings` of `raw_audio`, in the summaries of commands, and in `warnings` of their JSON.

"""


def render() -> str:
    """The whole page."""
    parts = [INTRODUCTION, "\n## Tables of a batch\n\nIn `tables/<name>/<batch>.parquet`.\n"]
    for name, grain in BATCH_TABLES.items():
        parts.append(_entry(name, grain, schema.TABLES[name]))
    parts.append("\n## Other tables\n")
    for where, (columns, grain) in OTHER_TABLES.items():
        parts.append(_entry(where, grain, columns))
    return "".join(parts) + WARNINGS + table(["kind", "meaning"], ([f"`{k}`", meaning] for k, meaning in KINDS.items()))


def _entry(name: str, grain: str, columns: Columns) -> str:
    rows = ([f"`{column}`", f"`{type_name(dtype)}`", words] for column, (dtype, words) in columns.items())
    return f"\n### `{name}`\n\n{grain}\n\n{table(['column', 'type', 'meaning'], rows)}"


def type_name(dtype: Any) -> str:
    """A polars type as people write it: `string`, `list[struct]`."""
    if isinstance(dtype, pl.List):
        return f"list[{type_name(dtype.inner)}]"
    if isinstance(dtype, pl.Struct):
        return f"struct[{', '.join(f'{field.name}: {type_name(field.dtype)}' for field in dtype.fields)}]"
    if isinstance(dtype, pl.Datetime):
        return "timestamp (UTC)"
    return dtype.base_type().__name__.lower()
