"""Committed batches with all tables that the catalog loads, made without audio. Deterministic, and quick."""

import datetime
import hashlib
import json
from collections.abc import Sequence

import numpy as np
import polars as pl
from sqlalchemy import Engine, text

from podcast_assets.store.commits import commit
from podcast_assets.store.schema import FAILURES, PROVENANCE, TABLES, Columns, empty_table, make_table
from podcast_assets.store.stage_names import TABLE_STAGES
from podcast_assets.store.store import Store

NOW = datetime.datetime(2026, 11, 30, 12, 30, tzinfo=datetime.UTC)
VOCABULARY = np.array([f"word{number}" for number in range(2_000)])


def commit_filled_batch(
    store: Store,
    batch: str,
    *,
    episodes: Sequence[str] = ("one", "two"),
    segments: int = 4,
    words: int = 6,
    podcast: str = "A Show",
    without: Sequence[str] = (),
    finished_at: datetime.datetime = NOW,
    seed: str = "",
) -> None:
    """Commit a batch whose episodes have the ids `<batch>-<name>`.

    Args:
        store: where to.
        batch: the batch.
        episodes: names of its episodes.
        segments: per episode, of 3 seconds each.
        words: per segment.
        podcast: title of the podcast of all.
        without: assets that are not materialized.
        finished_at: when all stages finished.
        seed: other scores and texts for another one.
    """
    generator = np.random.default_rng(list(f"{batch}{seed}".encode()))
    ids = [f"{batch}-{name}" for name in episodes]
    key = _segment_keys(ids, segments)
    count = key.height
    text_words = VOCABULARY[np.minimum(generator.zipf(1.3, (count, words)) - 1, len(VOCABULARY) - 1)]
    texts = pl.Series("text", [" ".join(row) for row in text_words])
    starts = key["start"].to_numpy()
    flat = pl.DataFrame(
        {
            "segment_id": np.repeat(key["segment_id"].to_numpy(), words),
            "word": text_words.reshape(-1),
            "start": np.repeat(starts, words) + np.tile(np.arange(words) * 0.4, count),
            "end": np.repeat(starts, words) + np.tile(np.arange(words) * 0.4 + 0.3, count),
            "probability": 0.9,
        }
    )
    spoken = flat.group_by("segment_id", maintain_order=True).agg(
        pl.struct("word", "start", "end", "probability").alias("words")
    )["words"]
    same = {"engine": pl.lit("stub"), "degraded": pl.lit(False), "fingerprint": pl.lit("f" * 32)}
    flags = pl.lit([], dtype=pl.List(pl.String))
    tables = {
        "raw_audio": make_table([_episode(batch, name, podcast, segments) for name in episodes], TABLES["raw_audio"]),
        "diarized_segments": key.with_columns(
            duration=pl.lit(3.0), speaker=pl.format("S{}", pl.col("segment_index") % 2), overlap=pl.lit(0.0), flags=flags, **same
        ),
        "transcripts": key.with_columns(
            texts, language=pl.lit("en"), language_probability=pl.lit(0.99), text_language=pl.lit("en"), words=spoken,
            avg_logprob=pl.lit(-0.2), no_speech_prob=pl.lit(0.01), compression_ratio=pl.lit(1.2), temperature=pl.lit(0.0),
            flags=flags, **same,
        ),
        "quality_scores": key.with_columns(
            dnsmos_ovrl=pl.Series(generator.uniform(1, 5, count)), snr_db=pl.Series(generator.uniform(0, 40, count)),
            more_scores=pl.lit([], dtype=TABLES["quality_scores"]["more_scores"][0]), hallucinated=pl.lit(False),
            keep=pl.col("segment_index") % 2 == 0, policy=pl.lit("asr 1"), text_flags=flags, script=pl.lit("latin"),
            reject_reasons=pl.when(pl.col("segment_index") % 2 == 0).then(flags).otherwise(pl.lit(["too \"short\", \\ really"])),
            **same,
        ),
        "hf_shards": key.with_columns(split=pl.lit("train"), shard=pl.lit("v1/data/en/train/audio_000000.tar")),
    }  # fmt: skip
    for asset, rows in tables.items():
        if asset not in without:
            about = _provenance(batch, episodes, asset, segments, finished_at)
            commit(store, asset, batch, _fill(rows, TABLES[asset]), about, empty_table(FAILURES))


def content_flags(segments: pl.DataFrame) -> pl.DataFrame:
    """One window per segment, of which the first of an episode is flagged, as moderation writes them."""
    first = pl.col("segment_index") == 0
    return segments.select(
        "episode_id", "start", "end",
        policy=pl.lit("harmful"), policy_version=pl.lit("1"), policy_hash=pl.lit("0" * 64),
        window=pl.col("segment_index"), segment_ids=pl.concat_list("segment_id"), label=pl.lit("hate_speech"),
        label_name=pl.lit("Hate speech"), probability=pl.when(first).then(0.9).otherwise(0.1), threshold=pl.lit(0.5),
        verdict=pl.when(first).then(pl.lit("flagged")).otherwise(pl.lit("clean")), reason=pl.lit(None, pl.String),
        engine=pl.lit("stub"), model=pl.lit("none"), degraded=pl.lit(False), fingerprint=pl.lit("f" * 32),
    )  # fmt: skip


def flag_some_segments(engine: Engine) -> None:
    """Give every segment of the catalog a judgment, one every 12 seconds; each hundredth is flagged.

    In SQL: there are stores without a table `content_flags`.
    """
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM podcast_catalog.content_flags"))
        connection.execute(text(_FLAGS))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE podcast_catalog.content_flags"))


_FLAGS = """
INSERT INTO podcast_catalog.content_flags (
    batch, episode_id, policy, policy_version, policy_hash, "window", start, "end", segment_ids, label, label_name, probability,
    threshold, verdict, engine, model, degraded, judged_at
)
SELECT batch, episode_id, 'harmful', '1', repeat('0', 64), segment_index, start, "end", ARRAY[segment_id], 'hate_speech',
       'Hate speech', CASE WHEN number % 100 = 0 THEN 0.9 ELSE 0.1 END, 0.5,
       CASE WHEN number % 100 = 0 THEN 'flagged' ELSE 'clean' END, 'stub', 'none', false, now() - number * interval '12 seconds'
FROM (SELECT *, row_number() OVER (ORDER BY batch, segment_id) AS number FROM podcast_catalog.segments) AS numbered
"""


def _segment_keys(ids: Sequence[str], segments: int) -> pl.DataFrame:
    frame = pl.DataFrame({"episode_id": ids}).join(
        pl.DataFrame({"segment_index": pl.int_range(0, segments, dtype=pl.Int32, eager=True)}), how="cross"
    )
    start = pl.col("segment_index").cast(pl.Float64) * 3.0
    milliseconds = (start * 1000).cast(pl.Int64).cast(pl.String).str.zfill(9)
    after = ((start + 3.0) * 1000).cast(pl.Int64).cast(pl.String).str.zfill(9)
    return frame.with_columns(
        segment_id=pl.concat_str("episode_id", milliseconds, after, separator="-"), start=start, end=start + 3.0
    )


def _episode(batch: str, name: str, podcast: str, segments: int) -> dict[str, object]:
    facts = {
        "url": f"https://user:hunter2secret@example.org/{name}.mp3?token=hunter2secret",
        "link": f"https://example.org/{name}",
        "published": "2026-11-01T10:00:00+02:00",
        "season": float("nan"),
    }
    return dict.fromkeys(TABLES["raw_audio"]) | {
        "episode_id": f"{batch}-{name}",
        "source": f"{name}.mp3",
        "status": "done",
        "title": f'Episode "{name}"\nof \\N {batch}',
        "podcast": podcast,
        "podcast_id": f"guid of {podcast}",
        "language": "en",
        "sha256": hashlib.sha256(f"{batch}-{name}".encode()).hexdigest(),
        "bytes": 1_000_000,
        "duration": 3.0 * segments,
        "metadata": json.dumps(facts),
        "warnings": [],
        "fingerprint": "f" * 32,
    }


def _provenance(
    batch: str, episodes: Sequence[str], asset: str, segments: int, finished_at: datetime.datetime
) -> pl.DataFrame:
    rows = [
        dict.fromkeys(PROVENANCE)
        | {
            "episode_id": f"{batch}-{name}",
            "source": f"{name}.mp3",
            "fingerprint": "f" * 32,
            "rows": segments,
            "engine": f"engine of {TABLE_STAGES[asset]}",
            "made_with": "{}",
            "node": "here",
            "audio_seconds": 3.0 * segments,
            "seconds": 1.0,
            "finished_at": finished_at,
        }
        for name in episodes
    ]
    return make_table(rows, PROVENANCE)


def _fill(rows: pl.DataFrame, columns: Columns) -> pl.DataFrame:
    return rows.select(
        (pl.col(name) if name in rows.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, (dtype, _) in columns.items()
    )
