"""Asset `content_flags`, optional."""

import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
import polars as pl

from podcast_assets.common.errors import is_store_trouble
from podcast_assets.common.fingerprint import fingerprint
from podcast_assets.common.redaction import redact_text
from podcast_assets.config.settings import Settings
from podcast_assets.defs.assets.batches import (
    BatchResult,
    batch_asset,
    do_stage,
    materialize_batches,
    stage_result,
    upstream,
)
from podcast_assets.defs.assets.earlier import earlier_flagged_windows
from podcast_assets.defs.assets.facts import counts, picture, preview
from podcast_assets.defs.assets.optional import not_made_result, skip_unrequested
from podcast_assets.defs.assets.transcripts import transcripts
from podcast_assets.defs.checks import moderation as moderation_checks
from podcast_assets.defs.checks.moderation import FlaggedWindows
from podcast_assets.defs.checks.tables import Verdict, all_accounted
from podcast_assets.defs.resources import PipelineResource, StoreResource
from podcast_assets.moderation.policies.load import load_policies
from podcast_assets.moderation.summary import label_counts, plot_probabilities, review_reasons, summarize
from podcast_assets.stages.compute.base import Compute
from podcast_assets.stages.compute.choose import computing
from podcast_assets.stages.failure_reasons import failure_reason
from podcast_assets.stages.moderate import Moderate, episodes_to_moderate
from podcast_assets.stages.moderation_runs import accounted, committed_for, merge_runs, rows_still_valid
from podcast_assets.stages.profiles import make_classifier
from podcast_assets.stages.results import StageRun
from podcast_assets.store.commits import CommittedTable, commit
from podcast_assets.store.discard_records import read_batch_discards
from podcast_assets.store.store import Store

_SHOWN_LABELS = 40
_SHOWN_REASONS = 10


@batch_asset(
    deps=[transcripts],
    group="quality",
    kinds={"parquet", "polars"},
    stages=[Moderate],
    code_version=Moderate.version,
)
def content_flags(
    context: dg.AssetExecutionContext, store: StoreResource, pipeline: PipelineResource
) -> dg.MaterializeResult:
    """One row per window and label of a moderation policy: the probability that the label applies, and the verdict.

    Optional: made if `PODCAST_MODERATION` names policies. No other table changes: releases apply rules to these rows
    (`PODCAST_EXCLUDE`). An episode that a policy fails on has no rows of it. A policy that cannot judge takes nothing from others.
    """
    opened_store, settings = store.get(), pipeline.settings()
    policies = load_policies(settings.moderation, settings.moderation_policies)
    if not policies:
        return skip_unrequested(context, store, "PODCAST_MODERATION")
    stages = {p.name: Moderate(opened_store, make_classifier(p, settings), p) for p in policies}
    digest = fingerprint(policies={p.name: p.hash for p in policies})
    earlier = earlier_flagged_windows(context.instance, context.asset_key, digest, context.partition_keys)

    def work(batch: str) -> BatchResult:
        judged = _judge_batch(context, settings, opened_store, batch, stages, computes)
        if not judged.runs:
            why = "; ".join(f"{name}: {reason}" for name, reason in judged.not_made.items())
            return not_made_result(context, batch, f"content_flags failed, and the batch is finished without it: {why}")
        for name, why in judged.not_made.items():
            context.log.error(f"{batch}: moderation policy {name} judged nothing, the others did: {why}")
        return _commit(context, opened_store, batch, judged, stages, digest, earlier)

    with contextlib.ExitStack() as opened:
        computes = {name: opened.enter_context(computing(stage, settings)) for name, stage in stages.items()}
        return materialize_batches(context, store, work)


@dataclass(frozen=True)
class _JudgedBatch:
    """What the policies made of a batch."""

    runs: dict[str, StageRun]
    """Policy → its run."""
    carried: dict[str, pl.DataFrame]
    """Policy that could not judge → its earlier rows of unchanged texts."""
    not_made: dict[str, str]
    """Policy → why it could not judge."""
    committed: CommittedTable
    """What the last run committed."""
    expected: list[str]
    """Episodes in which something was said, in the batch's order."""


def _judge_batch(
    context: dg.AssetExecutionContext,
    settings: Settings,
    store: Store,
    batch: str,
    stages: dict[str, Moderate],
    computes: dict[str, Compute],
) -> _JudgedBatch:
    """Run the stage of each policy; one that fails takes nothing from the others.

    Raises:
        OSError: the store is full or read-only.
    """
    tables = [upstream(store, asset, batch).rows for asset in ("raw_audio", "diarized_segments", "transcripts")]
    committed = CommittedTable.read(store, "content_flags", batch)
    discarded = read_batch_discards(store, batch)
    judged = _JudgedBatch({}, {}, {}, committed, [])
    for name, stage in stages.items():
        episodes = episodes_to_moderate(tables[0], tables[1], tables[2], stage.policy)
        judged.expected[:] = [e.episode_id for e in episodes]
        before = committed_for(committed, name)
        try:
            judged.runs[name] = do_stage(
                context, settings, stage, batch, episodes, store, computes[name], before, discarded
            )
        except Exception as error:
            if is_store_trouble(error):
                raise
            context.log.debug(f"{batch}: {stage.name}: {name}", exc_info=True)
            judged.not_made[name] = f"{type(error).__name__}: {redact_text(str(error))}"
            judged.carried[name] = rows_still_valid(committed, name, stage.policy.hash, episodes)
    return judged


def _commit(
    context: dg.AssetExecutionContext,
    store: Store,
    batch: str,
    judged: _JudgedBatch,
    stages: dict[str, Moderate],
    digest: str,
    earlier: list[FlaggedWindows],
) -> BatchResult:
    first = stages[next(iter(judged.runs))]
    run = merge_runs(batch, judged.runs, judged.carried, judged.committed, judged.expected, first)
    rows = pl.concat(_tables(judged, list(stages)))
    committed = commit(store, "content_flags", batch, rows, run.provenance, run.failures)
    if not judged.not_made:  # the answers of a policy that could not finish are still to be committed
        for policy_run in judged.runs.values():
            if policy_run.checkpoints:
                policy_run.checkpoints.remove()
    if run.failures.height:
        names = ", ".join(run.failures["source"].to_list()[:20])
        context.log.warning(f"{batch}: content_flags failed for {run.failures.height} episodes: {names}")
    summary = summarize(rows)
    current = FlaggedWindows(batch, summary.judged, summary.flagged)
    verdicts = {
        "policies_judged": moderation_checks.policies_judged(list(stages), judged.not_made),
        "windows_answered": moderation_checks.windows_answered(summary),
        "flagged_share_steady": moderation_checks.flagged_share_steady(current, earlier),
        "episodes_accounted": _accounted(judged, run),
    }
    earlier.insert(0, current)
    return stage_result(
        store,
        run,
        committed,
        expected=judged.expected,
        metadata={
            "policies": ", ".join(s.policy.title for s in stages.values()),
            "policies_digest": digest,
            **({"policies_not_judged": "; ".join(judged.not_made)} if judged.not_made else {}),
            "engine": ", ".join(dict.fromkeys(s.engine.name for s in stages.values())),
            "windows": summary.windows,
            "windows_judged": summary.judged,
            "windows_flagged": summary.flagged,
            "windows_in_other_languages": summary.not_judged,
            "flagged_share": round(summary.flagged_share, 4),
            "needs_review_share": round(summary.needs_review_share, 4),
            "tokens_in": summary.tokens_in,
            "tokens_out": summary.tokens_out,
            **({"price_usd": round(summary.price, 4)} if summary.price is not None else {}),
            **_pictures(rows),
        },
        verdicts=verdicts,
    )


def _tables(judged: _JudgedBatch, order: Sequence[str]) -> list[pl.DataFrame]:
    """Rows of each policy, in the order of the setting."""
    return [judged.runs[name].table() if name in judged.runs else judged.carried[name] for name in order]


def _accounted(judged: _JudgedBatch, run: StageRun) -> Verdict:
    """Check that every policy judged every episode, or failed on it; discarded episodes may be missing."""
    done, failed = accounted(judged.expected, run)
    expected = [e for e in judged.expected if e in {*done, *failed} or e not in run.discarded]
    return all_accounted(expected, done, failed)


def _pictures(rows: pl.DataFrame) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "labels": preview(label_counts(rows), label_counts(rows).columns, rows=_SHOWN_LABELS),
    }
    reasons: Counter[str] = Counter()
    for reason, number in review_reasons(rows).items():  # a reason may quote an answer, and that the transcript
        reasons[failure_reason(None, reason, "")] += number
    if reasons:
        facts["without_probability"] = counts(dict(reasons.most_common(_SHOWN_REASONS)))
    if rows["probability"].drop_nulls().len():
        facts["probabilities"] = picture(plot_probabilities(rows), "distribution of the probabilities, per label")
    return facts
