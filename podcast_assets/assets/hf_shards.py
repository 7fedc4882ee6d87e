"""Asset `hf_shards`."""

import dagster as dg
import polars as pl

from podcast_assets import plots
from podcast_assets.assets.batches import (
    BatchResult,
    batch_asset,
    done_episodes,
    materialize_batches,
    reporter,
    upstream,
)
from podcast_assets.assets.facts import picture, preview, run_facts, table_facts
from podcast_assets.assets.quality_scores import quality_scores
from podcast_assets.checks import Verdict, accounted
from podcast_assets.dataset import sealing
from podcast_assets.resources import PipelineResource, StoreResource
from podcast_assets.schema import FAILURES, HF_SHARDS
from podcast_assets.settings import Settings
from podcast_assets.stages.fingerprint import fingerprint
from podcast_assets.stages.package import Package
from podcast_assets.stages.results import StageRun
from podcast_assets.stages.runner import run_stage
from podcast_assets.stages.speech_input import by_episode, episodes
from podcast_assets.stages.stage import Episode, stage_fingerprint
from podcast_assets.store import Store, failures_key, sealed_key, table_key


@batch_asset(
    deps=[quality_scores],
    group="dataset",
    kinds={"parquet", "webdataset", "huggingface"},
    code_version=Package.version,
)
def hf_shards(
    context: dg.AssetExecutionContext, store: StoreResource, pipeline: PipelineResource
) -> dg.MaterializeResult:
    """One row per sample of the sealed WebDataset shards: where it lies, its hashes, its text, scores and policy.

    Shards hold every scored segment; `keep` and `reject_reasons` are columns, so another policy seals nothing anew.
    """
    room, settings = store.get(), pipeline.settings()

    def work(batch: str) -> BatchResult:
        audio, segments = upstream(room, "raw_audio", batch), upstream(room, "diarized_segments", batch)
        scores = upstream(room, "quality_scores", batch)
        content = sealing.sample_content(audio, segments, upstream(room, "transcripts", batch))
        content = content.join(scores.select("segment_id"), on="segment_id", how="semi", maintain_order="left")
        todo = _episodes(room, batch, audio, content, settings)
        stage = Package(room, settings.shard_codec, settings.shard_rate)
        version = fingerprint(
            episodes=[stage_fingerprint(stage, e) for e in todo],
            split=content["split"].to_list(),
            bytes=settings.shard_bytes,
        )[:12]
        places, run = _seal(context, room, batch, version, stage, todo, content, settings)
        rows = sealing.shards_table(places, content, scores)
        if run is None:
            room.write_table(table_key("hf_shards", batch), rows)
        else:
            run.commit(room, "hf_shards", rows)
        sealing.remove_other_versions(room, batch, [version])
        failed = _failed_episodes(room, batch)
        wrong = sealing.wrong_shards(room, batch, rows)
        shards = sealing.shard_list(rows)
        kept = rows.filter("keep")
        return BatchResult(
            metadata={
                **table_facts(room, "hf_shards", batch, rows),
                **(run_facts(run) if run else {"sealed_before": "the same content: nothing was written anew"}),
                "samples": rows.height,
                "hours": round(float(rows["duration"].sum()) / 3600, 4),
                "hours_kept": round(float(kept["duration"].sum()) / 3600, 4),
                "folder": str(room.path(sealed_key(batch, version))),
                "shards": preview(shards, ["shard", "sha256", "samples", "hours"], rows=50),
                "index": preview(rows, ["segment_id", "shard", "audio_offset", "audio_size", "keep"]),
                "durations": picture(
                    plots.histograms(
                        [
                            ("kept", kept["duration"].to_list()),
                            ("not kept", rows.filter(~pl.col("keep"))["duration"].to_list()),
                        ],
                        label="seconds",
                    ),
                    "durations of the samples",
                ),
            },
            verdicts={
                "episodes_accounted": accounted(
                    content["segment_id"].to_list(),
                    rows["segment_id"].to_list(),
                    content.filter(pl.col("episode_id").is_in(failed))["segment_id"].to_list(),
                ),
                "read_back_equal": Verdict(not wrong, {"shards": shards.height, "wrong": wrong}),
            },
        )

    return materialize_batches(context, work)


def _episodes(room: Store, batch: str, audio: pl.DataFrame, content: pl.DataFrame, settings: Settings) -> list[Episode]:
    """Work items of the episodes that were scored and have segments."""
    samples = by_episode(content.drop("overlap", "degraded", "split"))
    scored = set(done_episodes(room, "score", batch)) & samples.keys()
    return episodes(
        audio.filter(pl.col("episode_id").is_in(scored)),
        lambda row: {
            "original": row["original"],
            "sample_rate": row["sample_rate"],
            "codec": settings.shard_codec,
            "rate": settings.shard_rate,
            "samples": samples[row["episode_id"]],
        },
    )


def _seal(
    context: dg.AssetExecutionContext,
    room: Store,
    batch: str,
    version: str,
    stage: Package,
    todo: list[Episode],
    content: pl.DataFrame,
    settings: Settings,
) -> tuple[pl.DataFrame, StageRun | None]:
    """Places of all samples: of the shards that are there already where nothing changed, else sealed now (then with the run)."""
    committed = room.read_table(table_key("hf_shards", batch), HF_SHARDS)
    if not _failed_episodes(room, batch):
        places = sealing.sealed_before(room, batch, version, committed)
        if places is not None:
            return places, None
    run = run_stage(stage, batch, todo, room, report=reporter(context), prefetch=settings.prefetch)
    encoded = (sealing.Encoded(run.rows(e), run.provenance.filter(episode_id=e)["fingerprint"][0]) for e in run.done)
    places = sealing.seal_batch(
        room, batch, version, content, encoded, suffix=settings.shard_codec, shard_bytes=settings.shard_bytes
    )
    return places, run


def _failed_episodes(room: Store, batch: str) -> list[str]:
    failures = room.read_table(failures_key("package", batch), FAILURES)
    return [] if failures is None else failures["episode_id"].to_list()
