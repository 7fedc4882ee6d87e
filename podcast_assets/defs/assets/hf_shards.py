"""Asset `hf_shards`."""

from dataclasses import replace

import dagster as dg
import polars as pl

from podcast_assets.audio.form import AudioForm
from podcast_assets.common import plots
from podcast_assets.config.settings import Settings
from podcast_assets.defs.assets.batches import BatchResult, batch_asset, do_stage, materialize_batches, upstream
from podcast_assets.defs.assets.episode_grain import audio_form, encoded, episode_grain, read_back_differs
from podcast_assets.defs.assets.facts import picture, preview, run_facts, table_facts
from podcast_assets.defs.assets.quality_scores import quality_scores
from podcast_assets.defs.checks.tables import Verdict, accounted, no_failures
from podcast_assets.defs.resources import PipelineResource, StoreResource
from podcast_assets.shards import sealing
from podcast_assets.stages.compute.choose import computing
from podcast_assets.stages.package import Package
from podcast_assets.stages.speech_input import by_episode, episodes
from podcast_assets.stages.stage import Episode, stage_fingerprint
from podcast_assets.store.commits import Checkpoints, CommittedTable, commit
from podcast_assets.store.store import Store, sealed_key


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

    Shards hold every scored segment; `keep` and `reject_reasons` are columns, so another policy seals nothing anew. Where it is
    asked for, whole episodes are sealed beside them.
    """
    room, settings = store.get(), pipeline.settings()
    any_batch = Package(room, "", audio_form(settings))

    def work(batch: str) -> BatchResult:
        stage = replace(any_batch, batch=batch)
        audio, segments = upstream(room, "raw_audio", batch).rows, upstream(room, "diarized_segments", batch).rows
        scored = upstream(room, "quality_scores", batch)
        content = sealing.sample_content(audio, segments, upstream(room, "transcripts", batch).rows)
        content = content.join(scored.rows.select("segment_id"), on="segment_id", how="semi", maintain_order="left")
        todo = _episodes(audio, content, list(scored.fingerprints), stage.form)
        before = CommittedTable.read(room, "hf_shards", batch)
        places = _sealed_before(room, batch, stage, todo, content, before, settings)
        if places is not None:
            run, provenance, failures = None, before.provenance, before.failures
            version = places["shard"][0].split("/")[0] if places.height else ""
        else:
            run = do_stage(context, settings, stage, batch, todo, room, compute)
            provenance, failures = run.provenance, run.failures
            version = sealing.content_version(_fingerprints(provenance), content, settings.shard_bytes)
            places = sealing.seal_batch(
                room,
                batch,
                version,
                content,
                encoded(run),
                suffix=settings.shard_codec,
                shard_bytes=settings.shard_bytes,
            )
        rows = sealing.shards_table(places, content, scored.rows)
        checkpoints = Checkpoints(room, stage.name, batch, stage.columns)
        wrong = sealing.find_damaged_shards(room, batch, rows) if run else []
        if wrong:
            checkpoints.remove()  # the harm may have been done to what was encoded
            raise OSError(read_back_differs(batch, wrong))
        whole = episode_grain(
            context, room, settings, batch, audio, content, compute, run_episodes=list(_fingerprints(provenance))
        )
        commit(room, "hf_shards", batch, rows, provenance, failures)
        checkpoints.remove()
        sealing.remove_other_versions(room, batch, [version, *sealing.sealed_versions(rows), *whole.versions])
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
                **whole.facts,
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
                "episodes_accounted": accounted(
                    content["segment_id"].to_list(),
                    rows["segment_id"].to_list(),
                    content.filter(pl.col("episode_id").is_in(failures["episode_id"].to_list()))[
                        "segment_id"
                    ].to_list(),
                ),
                "no_failures": no_failures(failures),
                "read_back_equal": Verdict(not wrong, {"shards": shards.height, "samples": rows.height}),
            },
        )

    # both grains take the same workers: on Ray, idle ones of one grain would keep those of the other from the cores
    with computing(any_batch, settings) as compute:
        return materialize_batches(context, store, work)


def _episodes(audio: pl.DataFrame, content: pl.DataFrame, scored: list[str], form: AudioForm) -> list[Episode]:
    """Work items of the episodes that were scored and have segments."""
    samples = by_episode(content.drop("overlap", "degraded", "split"))
    return episodes(
        audio.filter(pl.col("episode_id").is_in(scored), pl.col("episode_id").is_in(list(samples))),
        lambda row: {
            "original": row["original"],
            "sample_rate": row["sample_rate"],
            "channels": row["channels"],
            "form": form.parts(),
            "samples": samples[row["episode_id"]],
        },
    )


def _sealed_before(
    room: Store,
    batch: str,
    stage: Package,
    todo: list[Episode],
    content: pl.DataFrame,
    before: CommittedTable,
    settings: Settings,
) -> pl.DataFrame | None:
    """Places of all samples in the shards that are there, where nothing has changed and nothing is to be tried again; else None."""
    wanted = {e.episode_id: stage_fingerprint(stage, e) for e in todo}
    done = {e: f for e, f in wanted.items() if before.entry(e, f) is not None}
    for_good = [e for e, f in wanted.items() if before.failed_for_good(e, f)]
    if len(done) + len(for_good) < len(wanted) or (for_good and settings.retry_permanent):
        return None
    kept = content.filter(pl.col("episode_id").is_in(list(done)))
    version = sealing.content_version(done, content, settings.shard_bytes)
    return sealing.find_sealed(room, batch, version, kept, before.table)


def _fingerprints(provenance: pl.DataFrame) -> dict[str, str]:
    return dict(provenance.select("episode_id", "fingerprint").iter_rows())
