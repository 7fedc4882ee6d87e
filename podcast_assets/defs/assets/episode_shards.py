"""Asset `episode_shards`, optional: shards of whole episodes."""

from dataclasses import replace

import dagster as dg
import polars as pl

from podcast_assets.audio.form import AudioForm
from podcast_assets.defs.assets.batches import (
    BatchResult,
    batch_asset,
    check_accounted,
    do_stage,
    materialize_batches,
    upstream,
    upstream_audio,
)
from podcast_assets.defs.assets.facts import preview, run_facts, table_facts
from podcast_assets.defs.assets.hf_shards import hf_shards
from podcast_assets.defs.assets.optional import skip_unrequested
from podcast_assets.defs.checks.tables import Verdict, no_failures
from podcast_assets.defs.resources import PipelineResource, StoreResource
from podcast_assets.shards import sealing
from podcast_assets.shards.episode_grain import episode_content
from podcast_assets.stages.compute.choose import computing
from podcast_assets.stages.package_episodes import PackageEpisodes
from podcast_assets.stages.seal import audio_form, seal_grain
from podcast_assets.stages.speech_input import by_episode, episodes
from podcast_assets.stages.stage import Episode
from podcast_assets.store.store import Store, diarization_key


@batch_asset(
    deps=[hf_shards],
    group="dataset",
    kinds={"parquet", "webdataset", "huggingface"},
    code_version=PackageEpisodes.version,
)
def episode_shards(
    context: dg.AssetExecutionContext, store: StoreResource, pipeline: PipelineResource
) -> dg.MaterializeResult:
    """One row per whole episode in the WebDataset shards: its position in a shard, and its hashes.

    Optional: made if `PODCAST_GRAINS` includes `episodes`, for episodes with segments in `hf_shards`. An episode that cannot be
    encoded is left out. If the setting no longer includes `episodes`, `hf_shards` removes the table and its shards.
    """
    opened_store, settings = store.get(), pipeline.settings()
    if not settings.whole_episodes:
        return skip_unrequested(context, store, "PODCAST_GRAINS=segments,episodes")
    any_batch = PackageEpisodes(opened_store, "", audio_form(settings))

    def work(batch: str) -> BatchResult:
        stage = replace(any_batch, batch=batch)
        audio = upstream_audio(opened_store, batch)
        segments = upstream(opened_store, "diarized_segments", batch).rows
        segments = segments.join(audio.select("episode_id"), on="episode_id", how="semi", maintain_order="left")
        scored = upstream(opened_store, "quality_scores", batch).rows
        in_shards = upstream(opened_store, "hf_shards", batch)
        content = sealing.sample_content(audio, segments, upstream(opened_store, "transcripts", batch).rows)
        content = content.join(scored.select("segment_id"), on="segment_id", how="semi", maintain_order="left")
        content = content.filter(pl.col("episode_id").is_in(list(in_shards.fingerprints)))
        whole = episode_content(audio, content)
        todo = _episodes(opened_store, batch, audio, content, whole, stage.form)
        sealed = seal_grain(
            opened_store,
            batch,
            sealing.EPISODE_GRAIN,
            stage,
            todo,
            whole,
            settings,
            run=lambda before: do_stage(
                context, settings, stage, batch, todo, opened_store, compute, before, discarded={}
            ),
            table=lambda placements: sealing.episodes_table(placements, whole),
            other_grains={"hf_shards": in_shards.rows},
        )
        rows, run, failures = sealed.committed.rows, sealed.run, sealed.committed.failures
        shards = sealing.shard_list(rows)
        return BatchResult(
            metadata={
                **table_facts(opened_store, "episode_shards", batch, rows),
                **(run_facts(run) if run else {"sealed_before": "the content is unchanged: no shard was written"}),
                "whole_episodes": rows.height,
                "whole_episodes_failed": failures.height,
                "hours": round(float(rows["duration"].sum()) / 3600, 4),
                "shards": preview(shards, ["shard", "sha256", "samples", "hours"], rows=50),
            },
            verdicts={
                "episodes_accounted": check_accounted(sealed.committed, [e.episode_id for e in todo]),
                "no_failures": no_failures(failures),
                # sealing verifies the shards before it commits
                "read_back_equal": Verdict(True, {"shards": shards.height, "samples": rows.height}),
            },
        )

    with computing(any_batch, settings) as compute:
        return materialize_batches(context, store, work)


def _episodes(
    store: Store, batch: str, audio: pl.DataFrame, content: pl.DataFrame, whole: pl.DataFrame, form: AudioForm
) -> list[Episode]:
    samples = by_episode(content.drop("overlap", "degraded", "split"))
    about = {
        r["episode_id"]: r
        for r in whole.select(
            "episode_id", "podcast_id", "podcast", "title", "duration", "language", "license"
        ).iter_rows(named=True)
    }
    return episodes(
        audio.filter(pl.col("episode_id").is_in(list(samples))),
        lambda row: {
            **{k: row[k] for k in ("original", "sample_rate", "channels", "container")},
            "audio_codec": row["codec"],
            "nothing_else": row["audio_streams"] == 1 and not row["has_video"],
            "form": form.fingerprint_values(),
            "about": about[row["episode_id"]],
            "samples": samples[row["episode_id"]],
            "rttm": _read_rttm(store, batch, row["episode_id"]),
        },
    )


def _read_rttm(store: Store, batch: str, episode_id: str) -> str | None:
    """Read the diarization of an episode; None if there is none."""
    try:
        return store.read(diarization_key(batch, episode_id, "rttm")).decode()
    except FileNotFoundError:
        return None
