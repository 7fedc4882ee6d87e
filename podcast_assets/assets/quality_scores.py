"""Asset `quality_scores`."""

import dagster as dg
import polars as pl

from podcast_assets import plots
from podcast_assets.assets.batches import (
    BatchResult,
    account,
    batch_asset,
    do_stage,
    materialize_batches,
    upstream,
)
from podcast_assets.assets.facts import counts, picture, preview, run_facts, table_facts
from podcast_assets.assets.transcripts import transcripts
from podcast_assets.checks import no_failures, scores_in_range
from podcast_assets.intake.references import references_of
from podcast_assets.quality.policy import load_policy
from podcast_assets.quality.table import with_text_and_policy
from podcast_assets.quality.text_care import cares
from podcast_assets.resources import PipelineResource, StoreResource
from podcast_assets.schema import SEGMENTS, empty
from podcast_assets.stages.compute import computing
from podcast_assets.stages.results import Committed
from podcast_assets.stages.score import Score
from podcast_assets.stages.speech_input import SPEECH_COLUMNS, by_episode, episodes


@batch_asset(
    deps=[transcripts],
    group="quality",
    kinds={"parquet", "polars"},
    code_version=Score.version,
)
def quality_scores(
    context: dg.AssetExecutionContext, store: StoreResource, pipeline: PipelineResource
) -> dg.MaterializeResult:
    """One row per segment: scores of its signal and of its text, and whether the policy keeps it and why not.

    Scores delete nothing. Another policy, or other texts, run no model again.
    """
    room, settings, profile = store.get(), pipeline.settings(), pipeline.chosen()
    stage = Score(room, profile.scorer)
    policy, care = load_policy(settings.policy), cares(settings.text_care)

    def work(batch: str) -> BatchResult:
        audio, segments = upstream(room, "raw_audio", batch).rows, upstream(room, "diarized_segments", batch).rows
        transcribed = upstream(room, "transcripts", batch)
        spoken = by_episode(segments.select("episode_id", *SPEECH_COLUMNS))
        nothing = empty(SEGMENTS).select("episode_id", *SPEECH_COLUMNS)
        todo = episodes(
            audio.filter(pl.col("episode_id").is_in(list(transcribed.fingerprints))),
            lambda row: {"segments": spoken.get(row["episode_id"], nothing)},
        )
        run = do_stage(context, settings, stage, batch, todo, room, compute)
        rows = with_text_and_policy(
            run.table(),
            segments,
            transcribed.rows,
            policy,
            references=references_of(room, batch),
            second=Committed.read(room, "second_opinions", batch).table,
            care=care,
        )
        run.commit(room, rows)
        hours = rows.join(segments.select("segment_id", "duration"), on="segment_id", how="left")
        reasons = rows["reject_reasons"].explode(empty_as_null=False).drop_nulls()
        return BatchResult(
            metadata={
                **table_facts(room, "quality_scores", batch, rows),
                **run_facts(run),
                "engine": stage.engine.name,
                "policy": policy.label,
                "segments_kept": rows.filter("keep").height,
                "hours_kept": round(float(hours.filter("keep")["duration"].sum()) / 3600, 4),
                "reject_reasons": counts(dict(reasons.value_counts().iter_rows())),
                "text_flags": counts(dict(rows["text_flags"].explode(empty_as_null=False).value_counts().iter_rows())),
                "dnsmos": picture(
                    plots.histograms(
                        [
                            (name, rows[name].drop_nulls().to_list())
                            for name in ("dnsmos_sig", "dnsmos_bak", "dnsmos_ovrl", "dnsmos_p808")
                        ],
                        label="MOS, 1 to 5",
                    ),
                    "DNSMOS",
                ),
                "snr": picture(
                    plots.histograms([("snr_db", rows["snr_db"].drop_nulls().to_list())], label="dB"), "SNR"
                ),
                "segments": preview(rows, ["segment_id", "dnsmos_ovrl", "snr_db", "keep", "reject_reasons"]),
            },
            verdicts={
                "episodes_accounted": account(room, "quality_scores", batch, transcribed.fingerprints),
                "no_failures": no_failures(run.failures),
                "scores_in_range": scores_in_range(rows, segments.filter(pl.col("episode_id").is_in(list(run.done)))),
            },
        )

    with computing(stage, settings) as compute:
        return materialize_batches(context, store, work)
