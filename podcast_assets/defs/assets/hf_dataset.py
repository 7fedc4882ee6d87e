"""Asset `hf_dataset`: the published dataset."""

from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from podcast_assets.common import plots
from podcast_assets.defs.assets.content_flags import content_flags
from podcast_assets.defs.assets.episode_shards import episode_shards
from podcast_assets.defs.assets.facts import column_schema, picture, preview
from podcast_assets.defs.assets.hf_shards import hf_shards
from podcast_assets.defs.assets.review_decisions import review_decisions
from podcast_assets.defs.checks.tables import RELEASE_SPECS
from podcast_assets.defs.resources import ReleaseResource, StoreResource
from podcast_assets.defs.runs.process import record_process
from podcast_assets.defs.runs.retries import retry_only_database_errors
from podcast_assets.store.schema_beside import REVIEWED

if TYPE_CHECKING:
    from podcast_assets.release.result import ReleaseResult

RELEASE_POOL = "release"
"""Pool of releases, which has one slot: two releases never run at once."""


class ReleaseConfig(dg.Config):
    """Configuration of a single release."""

    drop: list[str] = Field(
        default_factory=list, description="Batches to remove from the dataset although this store does not have them."
    )


@dg.asset(
    deps=[hf_shards.key, episode_shards.key, content_flags.key, review_decisions.key],
    group_name="release",
    kinds={"huggingface", "webdataset"},
    owners=["team:podcast-assets"],
    code_version="1",
    pool=RELEASE_POOL,
    check_specs=list(RELEASE_SPECS.values()),
    metadata=column_schema("hf_shards", REVIEWED),
)
def hf_dataset(
    context: dg.AssetExecutionContext, config: ReleaseConfig, store: StoreResource, releases: ReleaseResource
) -> dg.MaterializeResult:
    """All sealed batches as one dataset: shards, tables and card, published in one commit to a Hub repository or a folder.

    Only files that differ from the published ones are uploaded; without differences there is no commit. Episodes without the
    necessary rights are left out, and segments that rules about content flags select (`PODCAST_EXCLUDE`).
    """
    from podcast_assets.release.options import release_options
    from podcast_assets.release.release import release
    from podcast_assets.release.targets.choose import choose_target

    record_process(context.instance, context.run)
    with retry_only_database_errors(context.instance, context.run):
        opened_store, settings = store.get(), releases.settings()
        target = choose_target(settings, opened_store)
        done = release(opened_store, target, release_options(settings, frozenset(config.drop)))
        head = target.head()
    wrong = [s.path for s in done.shards if not (f := head.files.get(s.path)) or not f.is_file(s.sha256, s.bytes)]
    withheld = int(done.not_released["episodes"].sum())
    return dg.MaterializeResult(
        metadata=_facts(done),
        check_results=[
            dg.AssetCheckResult(
                check_name="published_equal",
                passed=not wrong,
                metadata={"shards": len(done.shards), "wrong": wrong[:20]},
            ),
            dg.AssetCheckResult(
                check_name="all_released",
                passed=withheld == 0,
                severity=dg.AssetCheckSeverity.WARN,
                metadata={row["reason"]: row["episodes"] for row in done.not_released.iter_rows(named=True)},
            ),
        ],
    )


def _facts(done: "ReleaseResult") -> dict[str, Any]:
    from podcast_assets.release.result import result_to_json

    summary = result_to_json(done)
    segments = summary["totals"].get("segments", {})
    languages: dict[str, float] = {}
    for shard in done.shards:
        if shard.grain == "segments":
            languages[shard.language] = languages.get(shard.language, 0.0) + shard.hours
    facts: dict[str, Any] = {
        "dagster/uri": done.where,
        "dagster/row_count": int(segments.get("samples", 0)),
        "changed": done.changed,
        "hours": round(float(segments.get("hours", 0.0)), 4),
        "shards_new": len(done.new),
        "shards_made_anew": len(done.anew),
        "shards_removed": len(done.removed),
        "shards_kept": done.kept,
        "bytes_brought": done.bytes,
        "release": dg.MetadataValue.json(summary),
    }
    if done.tag:
        facts |= {"tag": done.tag, "revision": done.revision}
    if languages:
        facts["languages"] = picture(
            plots.draw_bars(sorted(languages.items()), label="hours released"), "hours by language"
        )
    if done.not_released.height:
        facts["not_released"] = preview(done.not_released, ["reason", "episodes", "hours"], rows=50)
        facts["not_released_episodes"] = preview(done.reasons, ["batch", "episode_id", "detail"], rows=50)
        bars = [(r, h) for r, _, h in done.not_released.iter_rows()]
        facts["not_released_hours"] = picture(
            plots.draw_bars(bars, label="hours not released"), "hours not released, by reason"
        )
    return facts
