"""Rows of the catalog from a batch's tables. Pure functions of tables; nothing is read or written."""

import datetime
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from sqlalchemy import Table

from podcast_assets.catalog import tables as catalog
from podcast_assets.catalog.loading.source import SourceTables
from podcast_assets.common.redaction import redact_json, redact_url
from podcast_assets.moderation.texts import outdated_segments
from podcast_assets.store.schema import FAILURES as STORED_FAILURES
from podcast_assets.store.schema import PROVENANCE as STORED_PROVENANCE
from podcast_assets.store.schema import SEGMENTS as STORED_SEGMENTS
from podcast_assets.store.schema import TRANSCRIPTS as STORED_TRANSCRIPTS
from podcast_assets.store.schema import Columns, empty_table
from podcast_assets.store.schema_beside import REVIEWED
from podcast_assets.store.stage_names import TABLE_STAGES

Frames = Mapping[Table, pl.DataFrame]


@dataclass(frozen=True)
class CatalogRows:
    """Rows of a batch for each table of the catalog, with its columns in its order."""

    frames: Frames
    passed_over: Mapping[str, int]
    """Table → rows that belong to no row of the table above, because a run made some tables of the batch again just now."""


def make_rows(source: SourceTables, *, words: bool) -> CatalogRows:
    """Make the rows of a batch.

    Args:
        source: tables of the batch.
        words: whether each word gets a row.
    """
    passed_over: dict[str, int] = {}
    episodes = _episodes(source)
    segments = _child(_segments(source), episodes, "episode_id", "segments", passed_over)
    scores = _child(_scores(source), segments, "segment_id", "scores", passed_over)
    flags = _child(_content_flags(source), episodes, "episode_id", "content_flags", passed_over)
    frames = {
        catalog.PODCASTS: _podcasts(episodes),
        catalog.EPISODES: episodes.drop("podcast_name"),
        catalog.SEGMENTS: segments,
        catalog.WORDS: _words(source, segments) if words else _empty(catalog.WORDS),
        catalog.SPEAKERS: _speakers(segments),
        catalog.SCORES: scores,
        catalog.CONTENT_FLAGS: flags,
        catalog.FAILURES: _by_stage(source.failures, STORED_FAILURES, catalog.FAILURES),
        catalog.PROVENANCE: _by_stage(source.provenance, STORED_PROVENANCE, catalog.PROVENANCE),
    }
    return CatalogRows({t: _shape(rows, t, source.batch) for t, rows in frames.items()}, passed_over)


def _child(rows: pl.DataFrame, parents: pl.DataFrame, key: str, name: str, passed_over: dict[str, int]) -> pl.DataFrame:
    """Rows whose parent exists. The others, if any, are counted."""
    found = rows.join(parents.select(key), on=key, how="semi", maintain_order="left")
    if found.height < rows.height:
        passed_over[name] = rows.height - found.height
    return found


def _shape(rows: pl.DataFrame, table: Table, batch: str) -> pl.DataFrame:
    """Add the batch, and select the table's columns; those that nothing fills are null."""
    columns = [c.name for c in table.columns]
    if "batch" in columns:
        rows = rows.with_columns(pl.lit(batch).alias("batch"))
    return rows.select(pl.col(c) if c in rows.columns else pl.lit(None).alias(c) for c in columns)


def _empty(table: Table) -> pl.DataFrame:
    return pl.DataFrame(schema={c.name: pl.String for c in table.columns})


# -- episodes ---------------------------------------------------------------------------------------------------------------


def _episodes(source: SourceTables) -> pl.DataFrame:
    """One row per file of the batch; `podcast_name` is the key of its podcast with its title."""
    rows = source.tables["raw_audio"]
    metadata = [_parse_metadata(text) for text in rows["metadata"]]
    warnings = [
        None if w is None else json.dumps(redact_json(w), ensure_ascii=False) for w in rows["warnings"].to_list()
    ]
    key = pl.coalesce("podcast_id", "podcast")
    return rows.drop("warnings", "metadata", "downmix", "retimed", "earlier_sha256").with_columns(
        key.alias("podcast"),
        pl.col("podcast").alias("podcast_name"),
        pl.col("podcast").alias("podcast_title"),
        pl.Series("metadata", [_to_json(m) for m in metadata], pl.String),
        pl.Series("warnings", warnings, pl.String),
        pl.Series("url", [_page(m) for m in metadata], pl.String),
        pl.Series("published_at", [_moment(m.get("published")) for m in metadata], pl.Datetime("us", "UTC")),
    )


def _podcasts(episodes: pl.DataFrame) -> pl.DataFrame:
    """One row per podcast, with the title that sorts last, so that the order of the episodes does not matter."""
    known = episodes.filter(pl.col("podcast").is_not_null())
    return known.group_by("podcast", maintain_order=True).agg(
        pl.col("podcast_id").first(), pl.col("podcast_name").max().alias("title")
    )


def _parse_metadata(text: str | None) -> dict[str, Any]:
    found = json.loads(text) if text else {}
    return redact_json(found) if isinstance(found, dict) else {}


def _to_json(value: Mapping[str, Any]) -> str | None:
    return json.dumps(_storable(value), ensure_ascii=False) if value else None


def _storable(value: Any) -> Any:
    """A value as JSONB takes it: no NaN, no infinity, no NUL, no lone surrogate."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {_storable(key): _storable(item) for key, item in value.items()}
    return [_storable(item) for item in value] if isinstance(value, Sequence) else value


def _page(metadata: Mapping[str, Any]) -> str | None:
    """Page of an episode, or where its audio came from, without secrets."""
    found = next(
        (v.strip() for name in ("link", "url") if isinstance(v := metadata.get(name), str) and v.strip()), None
    )
    return found and redact_url(found)


def _moment(text: object) -> datetime.datetime | None:
    """Date or time of ISO 8601; None for anything else."""
    try:
        found = datetime.datetime.fromisoformat(text.strip()) if isinstance(text, str) else None
        return found and (
            found.replace(tzinfo=datetime.UTC) if found.tzinfo is None else found.astimezone(datetime.UTC)
        )
    except (ValueError, OverflowError):
        return None


# -- segments ---------------------------------------------------------------------------------------------------------------


def _segments(source: SourceTables) -> pl.DataFrame:
    """One row per segment with its text, if the batch is transcribed already."""
    segments = _table(source, "diarized_segments", STORED_SEGMENTS).rename({"engine": "diarizer"})
    texts = _table(source, "transcripts", STORED_TRANSCRIPTS).select(
        "segment_id", "text", "language", "language_probability", "text_language", "avg_logprob", "no_speech_prob",
        "compression_ratio", "temperature", "uncovered_speech", "redone",
        pl.col("flags").alias("text_flags"), pl.col("degraded").alias("text_degraded"), pl.col("engine").alias("transcriber"),
    )  # fmt: skip
    found = segments.join(texts, on="segment_id", how="left", maintain_order="left").with_columns(
        flags=pl.concat_list("flags", pl.col("text_flags").fill_null([])).list.unique(maintain_order=True),
        degraded=pl.col("degraded") | pl.col("text_degraded").fill_null(False),
    )
    for asset, columns in _BESIDE.items():
        table = source.table(asset)
        if table is not None:
            extra = table.select("segment_id", *(pl.col(old).alias(new) for old, new in columns.items()))
            found = found.join(extra, on="segment_id", how="left", maintain_order="left")
    reviewed = source.reviewed.select("segment_id", *REVIEWED)
    return found.join(reviewed, on="segment_id", how="left", maintain_order="left")


_BESIDE = {
    "second_opinions": {"text": "second_text", "engine": "second_transcriber"},
    "punctuated_texts": {"text_punctuated": "text_punctuated"},
    "hf_shards": {"split": "split", "shard": "shard"},
}
"""Asset → its columns that segments have, and their names there."""


def _words(source: SourceTables, segments: pl.DataFrame) -> pl.DataFrame:
    words = (
        _table(source, "transcripts", STORED_TRANSCRIPTS)
        .select("segment_id", "words")
        .join(segments.select("segment_id"), on="segment_id", how="semi", maintain_order="left")
        .with_columns(position=pl.int_ranges(pl.col("words").list.len(), dtype=pl.Int32))
        .explode("words", "position", empty_as_null=False)
        .drop_nulls("words")
    )
    return words.unnest("words")


def _speakers(segments: pl.DataFrame) -> pl.DataFrame:
    known = segments.filter(pl.col("speaker").is_not_null())
    return known.group_by("episode_id", "speaker", maintain_order=True).agg(
        pl.len().cast(pl.Int32).alias("segments"), pl.col("duration").sum().alias("seconds")
    )


def _scores(source: SourceTables) -> pl.DataFrame:
    scores = source.table("quality_scores")
    if scores is None:
        return _empty(catalog.SCORES)
    more = [
        json.dumps(_storable({score["name"]: score["value"] for score in row}), ensure_ascii=False) if row else None
        for row in scores["more_scores"].to_list()
    ]
    return scores.with_columns(pl.Series("more_scores", more, pl.String))


def _content_flags(source: SourceTables) -> pl.DataFrame:
    flags = source.table("content_flags")
    if flags is None:
        return _empty(catalog.CONTENT_FLAGS)
    times = source.provenance["content_flags"].select("episode_id", pl.col("finished_at").alias("judged_at"))
    return _mark_outdated(flags, source).join(times, on="episode_id", how="left", maintain_order="left")


def _mark_outdated(flags: pl.DataFrame, source: SourceTables) -> pl.DataFrame:
    texts = _table(source, "transcripts", STORED_TRANSCRIPTS).select("segment_id", "text")
    outdated = outdated_segments(flags, texts).group_by("policy").agg(pl.col("segment_id").alias("outdated"))
    found = flags.join(outdated, on="policy", how="left", maintain_order="left")
    shared = pl.col("segment_ids").list.set_intersection(pl.col("outdated"))
    return found.with_columns(outdated=shared.list.len().fill_null(0) > 0)


# -- about the work ---------------------------------------------------------------------------------------------------------


def _by_stage(found: Mapping[str, pl.DataFrame], columns: Columns, table: Table) -> pl.DataFrame:
    """Provenance or failures of all stages in one table."""
    parts = [rows.with_columns(pl.lit(TABLE_STAGES[asset]).alias("stage")) for asset, rows in found.items()]
    rows = pl.concat(parts) if parts else empty_table(columns).with_columns(pl.lit("").alias("stage"))
    return rows.unique(["stage", "episode_id"], keep="last", maintain_order=True).select(
        c.name for c in table.columns if c.name in rows.columns
    )


def _table(source: SourceTables, asset: str, columns: Columns) -> pl.DataFrame:
    found = source.table(asset)
    return empty_table(columns) if found is None else found
