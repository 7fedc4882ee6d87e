"""Asset `hf_shards`."""

from dataclasses import replace

import dagster as dg
import polars as pl

from podcast_assets.audio.form import AudioForm
from podcast_assets.common import plots
from podcast_assets.defs.assets.batches import (
    BatchResult,
    batch_asset,
    do_stage,
    materialize_batches,
    upstream,
    upstream_audio,
)
from podcast_assets.defs.assets.facts import picture, preview, run_facts, table_facts
from podcast_assets.defs.assets.quality_scores import quality_scores
from podcast_assets.defs.checks.tables import Verdict, all_accounted, no_failures
from podcast_assets.defs.resources import PipelineResource, StoreResource
from podcast_assets.shards import sealing
from podcast_assets.stages.compute.choose import computing
from podcast_assets.stages.package import Package
from podcast_assets.stages.seal import audio_form, seal_grain
from podcast_assets.stages.speech_input import by_episode, episodes
from podcast_assets.stages.stage import Episode
from podcast_assets.store.store import sealed_key, table_key


@batch_asset(
    deps=[quality_scores],
    group="dataset",
    kinds={"parquet", "webdataset", "huggingface"},
    code_version=Package.version,
)
def hf_shards(
    context: dg.AssetExecutionContext, store: StoreResource, pipeline: PipelineResource
) -> dg.MaterializeResult:
    """One row per sample of the WebDataset shards: its position in a shard, its hashes, its text and its quality scores.

    Shards contain all scored segments. Whether the policy keeps a segment is a column of this table (`keep`), so a new policy does
    not change the shards.
    """
    opened_store, settings = store.get(), pipeline.settings()
    any_batch = Package(opened_store, "", audio_form(settings))

    def work(batch: str) -> BatchResult:
        stage = replace(any_batch, batch=batch)
        audio = upstream_audio(opened_store, batch)
        segments = upstream(opened_store, "diarized_segments", batch).rows
        segments = segments.join(audio.select("episode_id"), on="episode_id", how="semi", maintain_order="left")
        scored = upstream(opened_store, "quality_scores", batch)
        content = sealing.sample_content(audio, segments, upstream(opened_store, "transcripts", batch).rows)
        content = content.join(scored.rows.select("segment_id"), on="segment_id", how="semi", maintain_order="left")
        todo = _episodes(audio, content, list(scored.fingerprints), stage.form)
        if not settings.whole_episodes:
            # nothing would update them; sealing below removes their shards, as it removes all that no table refers to
            opened_store.remove(table_key("episode_shards", batch))
        sealed = seal_grain(
            opened_store,
            batch,
            sealing.SEGMENT_GRAIN,
            stage,
            todo,
            content,
            settings,
            run=lambda before: do_stage(
                context, settings, stage, batch, todo, opened_store, compute, before, discarded={}
            ),
            table=lambda placements: sealing.shards_table(placements, content, scored.rows),
        )
        rows, run, failures = sealed.committed.rows, sealed.run, sealed.committed.failures
        shards = sealing.shard_list(rows)
        kept = rows.filter("keep")
        return BatchResult(
            metadata={
                **table_facts(opened_store, "hf_shards", batch, rows),
                **(run_facts(run) if run else {"sealed_before": "the content is unchanged: no shard was written"}),
                "samples": rows.height,
                "hours": round(float(rows["duration"].sum()) / 3600, 4),
                "hours_kept": round(float(kept["duration"].sum()) / 3600, 4),
                "folder": str(opened_store.path(sealed_key(batch, sealed.version))),
                "shards": preview(shards, ["shard", "sha256", "samples", "hours"], rows=50),
                "index": preview(rows, ["segment_id", "shard", "audio_offset", "audio_size", "keep"]),
                "durations": picture(
                    plots.draw_histograms(
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
                "episodes_accounted": all_accounted(
                    content["segment_id"].to_list(),
                    rows["segment_id"].to_list(),
                    content.filter(pl.col("episode_id").is_in(failures["episode_id"].to_list()))[
                        "segment_id"
                    ].to_list(),
                ),
                "no_failures": no_failures(failures),
                "read_back_equal": Verdict(True, {"shards": shards.height, "samples": rows.height}),
            },
        )

    with computing(any_batch, settings) as compute:
        return materialize_batches(context, store, work)


def _episodes(audio: pl.DataFrame, content: pl.DataFrame, scored: list[str], form: AudioForm) -> list[Episode]:
    """Return the work items of the episodes that were scored and have segments."""
    samples = by_episode(content.drop("overlap", "degraded", "split"))
    return episodes(
        audio.filter(pl.col("episode_id").is_in(scored), pl.col("episode_id").is_in(list(samples))),
        lambda row: {
            "original": row["original"],
            "sample_rate": row["sample_rate"],
            "channels": row["channels"],
            "form": form.fingerprint_values(),
            "samples": samples[row["episode_id"]],
        },
    )
