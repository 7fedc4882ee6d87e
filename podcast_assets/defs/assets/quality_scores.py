"""Asset `quality_scores`."""

from typing import Any

import dagster as dg
import polars as pl

from podcast_assets.defs.assets.batches import (
    BatchResult,
    batch_asset,
    do_stage,
    materialize_batches,
    stage_result,
    upstream,
)
from podcast_assets.defs.assets.earlier import earlier_kept_hours
from podcast_assets.defs.assets.facts import counts, picture, preview
from podcast_assets.defs.assets.punctuated_texts import punctuated_texts
from podcast_assets.defs.assets.second_opinions import second_opinions
from podcast_assets.defs.assets.transcripts import transcripts
from podcast_assets.defs.checks import quality as quality_checks
from podcast_assets.defs.checks.quality import KeptHours
from podcast_assets.defs.checks.tables import Verdict, scores_in_range
from podcast_assets.defs.resources import PipelineResource, StoreResource
from podcast_assets.intake.references import read_references
from podcast_assets.quality import plots as plots_quality
from podcast_assets.quality.policies.evidence import collect_evidence
from podcast_assets.quality.policies.policy import Policy, load_policy
from podcast_assets.quality.policies.waterfall import rejection_losses
from podcast_assets.quality.table import add_text_and_policy
from podcast_assets.quality.text.care import parse_text_care
from podcast_assets.stages.compute.choose import computing
from podcast_assets.stages.score import Score
from podcast_assets.stages.speech_input import SPEECH_COLUMNS, by_episode, episodes
from podcast_assets.store.commits import CommittedTable
from podcast_assets.store.schema import SEGMENTS, empty_table


@batch_asset(
    deps=[transcripts, second_opinions, punctuated_texts],
    group="quality",
    kinds={"parquet", "polars"},
    stages=[Score],
    code_version=Score.version,
)
def quality_scores(
    context: dg.AssetExecutionContext, store: StoreResource, pipeline: PipelineResource
) -> dg.MaterializeResult:
    """One row per segment: quality scores of its audio and text, whether the policy keeps it, and the reasons if not.

    Rejected segments stay in all tables. A change of the policy or of the texts updates these rows without running a model again.
    Second opinions and punctuated texts are included if they exist.
    """
    opened_store, settings, profile = store.get(), pipeline.settings(), pipeline.selected_profile()
    stage = Score(opened_store, Score.engine_of(profile))
    policy = load_policy(settings.policy)
    earlier = earlier_kept_hours(context.instance, context.asset_key, policy.digest, context.partition_keys)
    care = parse_text_care(settings.text_care)

    def work(batch: str) -> BatchResult:
        audio, segments = (
            upstream(opened_store, "raw_audio", batch).rows,
            upstream(opened_store, "diarized_segments", batch).rows,
        )
        transcribed = upstream(opened_store, "transcripts", batch)
        spoken = by_episode(segments.select("episode_id", *SPEECH_COLUMNS))
        nothing = empty_table(SEGMENTS).select("episode_id", *SPEECH_COLUMNS)
        todo = episodes(
            audio.filter(pl.col("episode_id").is_in(list(transcribed.fingerprints))),
            lambda row: {
                "segments": spoken.get(row["episode_id"], nothing),
                "original": row["original"],
                "sample_rate": row["sample_rate"],
            },
        )
        before = CommittedTable.read(opened_store, "quality_scores", batch)
        run = do_stage(context, settings, stage, batch, todo, opened_store, compute, before)
        rows = add_text_and_policy(
            run.table(),
            segments,
            transcribed.rows,
            policy,
            references=read_references(opened_store, batch),
            second=CommittedTable.read(opened_store, "second_opinions", batch).table,
            before=before.table,
            punctuated=CommittedTable.read(opened_store, "punctuated_texts", batch).table
            if profile.punctuator
            else None,
            care=care,
        )
        committed = run.commit(opened_store, rows)
        seen = collect_evidence(rows, segments, transcribed.rows)
        hours, hours_kept = (float(part["duration"].sum()) / 3600 for part in (seen, seen.filter("keep")))
        verdicts = _verdicts(seen, segments, transcribed.rows, KeptHours(batch, hours, hours_kept), earlier)
        earlier.insert(0, KeptHours(batch, hours, hours_kept))
        return stage_result(
            opened_store,
            run,
            committed,
            expected=transcribed.fingerprints,
            metadata={
                "engine": stage.engine.name,
                "policy": policy.label,
                "policy_digest": policy.digest,
                **({"policy_notes": notes} if (notes := "; ".join(policy.notes(seen.columns))) else {}),
                "segments_kept": rows.filter("keep").height,
                "hours": round(hours, 4),
                "hours_kept": round(hours_kept, 4),
                "text_flags": counts(dict(rows["text_flags"].explode(empty_as_null=False).value_counts().iter_rows())),
                "reject_reasons": counts(
                    dict(rows["reject_reasons"].explode(empty_as_null=False).value_counts().rows())
                ),
                **_pictures(seen, audio, policy, hours),
                "segments": preview(rows, ["segment_id", "dnsmos_ovrl", "snr_db", "keep", "reject_reasons"]),
            },
            verdicts={
                "scores_in_range": scores_in_range(rows, segments.filter(pl.col("episode_id").is_in(list(run.done)))),
                **verdicts,
            },
        )

    with computing(stage, settings) as compute:
        return materialize_batches(context, store, work)


def _verdicts(
    seen: pl.DataFrame, segments: pl.DataFrame, transcripts: pl.DataFrame, kept: KeptHours, earlier: list[KeptHours]
) -> dict[str, Verdict]:
    return {
        "kept_share_steady": quality_checks.kept_share_steady(kept, earlier),
        "degraded_share": quality_checks.degraded_share(seen, segments, transcripts),
        "scores_covered": quality_checks.scores_covered(seen),
        "hallucination_share": quality_checks.hallucination_share(seen),
        "kept_in_one_language": quality_checks.kept_in_one_language(seen),
    }


def _pictures(seen: pl.DataFrame, audio: pl.DataFrame, policy: Policy, hours: float) -> dict[str, Any]:
    """Draw the scores' distributions, the policy's losses, and the episode with the most rejected (else the most) speech."""
    if seen.is_empty():
        return {}
    costly = seen.group_by("episode_id").agg(
        rejected=pl.col("duration").filter(~pl.col("keep")).sum(), spoken=pl.col("duration").sum()
    )
    chosen = costly.sort("rejected", "spoken", "episode_id", descending=[True, True, False])["episode_id"][0]
    name = audio.filter(episode_id=chosen)["source"][0]
    return {
        "distributions": picture(plots_quality.plot_distributions(seen, policy.limits), "distributions of the scores"),
        "what_is_kept": picture(
            plots_quality.plot_waterfall(rejection_losses(seen, policy.reasons), hours, policy=policy.label),
            "what is kept, and why not",
        ),
        "episode_with_most_rejected": picture(
            plots_quality.plot_episode(name, seen.filter(episode_id=chosen), policy.limits),
            "one episode with its scores",
        ),
    }
