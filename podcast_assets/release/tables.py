"""Tables of a dataset: sample positions, episodes and pipelines. No I/O."""

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from podcast_assets.common.fingerprint import fingerprint
from podcast_assets.release.content_flags import COLUMN as CONTENT_FLAGS_COLUMN
from podcast_assets.release.plan import grain_language_split
from podcast_assets.release.published import EPISODES, SEGMENTS, PublishedShard
from podcast_assets.release.reviews import METADATA
from podcast_assets.shards.ustar import padded_size
from podcast_assets.store.schema import schema
from podcast_assets.store.schema_beside import RELEASED_EPISODES

PIPELINE = "pipeline.json"


def place_samples(
    rows: pl.DataFrame, shards: Sequence[PublishedShard], others: Mapping[tuple[str, str], int]
) -> pl.DataFrame:
    """Replace `shard`, `shard_sha256` and the offsets of selected rows by those of the published shards.

    Args:
        rows: rows of `selection.select_samples`.
        shards: shards of the release.
        others: (published path, batch) → first byte after its samples, for batches in the dataset that are not in `rows`.
    """
    chosen = rows.filter("selected")
    sizes = {
        (str(batch), str(part)): int(size)
        for batch, part, size in chosen.group_by("batch", "part")
        .agg((pl.col("to_byte") - pl.col("from_byte")).sum())
        .iter_rows()
    }
    bases: list[tuple[str, str, str, str, int]] = []
    for shard in shards:
        end = 0
        for part in shard.parts:
            if size := sizes.get((part.batch, part.shard)):
                bases.append((part.batch, part.shard, shard.path, shard.sha256, end))
                end += size
            else:
                end = max(end, others.get((shard.path, part.batch), 0))
    place = pl.DataFrame(
        bases,
        schema={"batch": pl.String, "part": pl.String, "path": pl.String, "path_sha256": pl.String, "base": pl.Int64},
        orient="row",
    )
    size = pl.col("to_byte") - pl.col("from_byte")
    before = (size.cum_sum() - size).over("batch", "part")
    return (
        chosen.sort("batch", "part", "from_byte")
        .join(place, on=["batch", "part"], how="inner", maintain_order="left")
        .with_columns(
            shard=pl.col("path"),
            shard_sha256=pl.col("path_sha256"),
            **{c: pl.col("base") + before + pl.col(c) - pl.col("from_byte") for c in ("json_offset", "audio_offset")},
        )
        .sort("path", "audio_offset")
        .drop("path", "path_sha256", "base")
    )


def sample_ends(published: pl.DataFrame, batch: str) -> dict[tuple[str, str], int]:
    """(published path, batch) → first byte after the batch's samples, from rows of its metadata in the dataset."""
    found: dict[tuple[str, str], int] = {}
    for path, offset, size in published.select("shard", "audio_offset", "audio_size").iter_rows():
        found[path, batch] = max(found.get((path, batch), 0), offset + padded_size(size))
    return found


def metadata_tables(rows: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Split rows of `place_samples` into tables `metadata/<language>/<batch>.parquet` of segments, with the columns of
    `reviews.METADATA`, and their content flags if there are any."""
    tables = {}
    columns = [*schema(METADATA).names(), *(c for c in (CONTENT_FLAGS_COLUMN,) if c in rows.columns)]
    with_language = rows.with_columns(folder=pl.col("shard").str.split("/").list.get(1))
    for (language, batch), found in with_language.partition_by("folder", "batch", as_dict=True).items():
        tables[f"metadata/{language}/{batch}.parquet"] = found.select(columns)
    return dict(sorted(tables.items()))


def episode_tables(
    segments: pl.DataFrame, whole: pl.DataFrame, rows: pl.DataFrame, episodes: pl.DataFrame, clearance: pl.DataFrame
) -> dict[str, pl.DataFrame]:
    """`episodes/<batch>.parquet` → one row per released episode.

    Args:
        segments: released segments, from `place_samples`.
        whole: released whole episodes, from `place_samples`; may have no columns if it is empty.
        rows: all sealed segments, released or not: rows of `hf_shards` with their `batch`.
        episodes: rows of `raw_audio` with their `batch`.
        clearance: result of `decide_clearance`.
    """
    key = ["batch", "episode_id"]
    counts = segments.group_by(key).agg(segments=pl.len().cast(pl.Int64), hours=pl.col("duration").sum() / 3600)
    turns = (
        rows.sort("segment_index")
        .group_by(key, maintain_order=True)
        .agg(turns=pl.struct("start", "end", "speaker"), split=pl.col("split").first())
    )
    places = ("shard", "shard_sha256", "audio_offset", "audio_size", "audio_sha256")
    if whole.is_empty():
        types = schema(RELEASED_EPISODES)
        whole = pl.DataFrame(schema={k: types[k] for k in (*key, *places)})
    rights = clearance.select(
        *key, "license", "license_url", "attribution", "copyright", "explicit", source=pl.col("source_url")
    )
    found = (
        episodes.filter(status="done")
        .select(
            *key,
            *("title", "podcast", "podcast_id", "language", "duration", "sha256", "codec", "channels"),
            original_sample_rate=pl.col("sample_rate"),
        )
        .join(rights, on=key, how="left")
        .join(counts, on=key, how="left")
        .join(turns, on=key, how="left")
        .join(whole.select(*key, *places), on=key, how="left")
        .filter(pl.col("segments").is_not_null() | pl.col("shard").is_not_null())
        .with_columns(pl.col("segments").fill_null(0), pl.col("hours").fill_null(0.0))
        .select(schema(RELEASED_EPISODES).names())
        .cast(schema(RELEASED_EPISODES))  # type: ignore[arg-type]
        .sort("episode_id")
    )
    return {
        f"episodes/{batch}.parquet": rows
        for (batch,), rows in sorted(found.partition_by("batch", as_dict=True).items())
    }


def batch_pipeline(stages: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    """Summarize the engines of a batch by stage, with settings, versions and number of episodes.

    Args:
        stages: stage → provenance.
    """
    made = {}
    for stage, provenance in stages.items():
        counts = provenance.group_by("engine", "made_with").len().sort("engine", "made_with", nulls_last=True)
        made[stage] = [
            {"engine": engine, "episodes": episodes, "made_with": json.loads(made_with or "null")}
            for engine, made_with, episodes in counts.iter_rows()
        ]
    return made


def merge_pipelines(
    batches: Mapping[str, Mapping[str, Any]],
    settings: Mapping[str, Any],
    before: Mapping[str, Any],
    others: Iterable[str],
) -> dict[str, Any]:
    """Make the content of `pipeline.json`: the engines of each batch, with equal engines listed once.

    Args:
        batches: batch → result of `batch_pipeline`.
        settings: settings of this release.
        before: the published `pipeline.json`.
        others: batches whose published entries stay.
    """
    engines: dict[str, Any] = {}
    by_batch: dict[str, dict[str, dict[str, int]]] = {}
    for batch, stages in batches.items():
        by_batch[batch] = {}
        for stage, made in stages.items():
            counts = by_batch[batch].setdefault(stage, {})
            for entry in made:
                engine = {"stage": stage, "engine": entry["engine"], "made_with": entry["made_with"]}
                name = fingerprint(**engine)[:12]
                engines[name] = engine
                counts[name] = entry["episodes"]
    for batch in others:
        stages = before.get("batches", {}).get(batch)
        if stages is not None:
            by_batch[batch] = stages
            engines |= {n: before["engines"][n] for counts in stages.values() for n in counts}
    return {
        "settings": dict(settings),
        "batches": dict(sorted(by_batch.items())),
        "engines": dict(sorted(engines.items())),
    }


def to_parquet(table: pl.DataFrame) -> bytes:
    """Serialize a table as parquet, deterministically."""
    buffer = io.BytesIO()
    table.write_parquet(buffer, compression="zstd", statistics=True)
    return buffer.getvalue()


def to_json(value: Mapping[str, Any]) -> bytes:
    """Serialize a value as indented JSON."""
    return (json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()


def count_by_grain(shards: Sequence[PublishedShard]) -> dict[str, dict[str, float]]:
    """Count shards, samples, hours and bytes by grain."""
    totals = {g: {"shards": 0, "samples": 0, "hours": 0.0, "bytes": 0} for g in (SEGMENTS, EPISODES)}
    for shard in shards:
        grain = totals[grain_language_split(shard.path)[0]]
        for name, value in (("shards", 1), ("samples", shard.samples), ("hours", shard.hours), ("bytes", shard.bytes)):
            grain[name] += value
    return {g: t for g, t in totals.items() if t["shards"]}
