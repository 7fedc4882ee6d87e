"""Build the Dagster definitions of this project from its settings. They load without any ML package.

The environment is read here and nowhere else: assets, sensors and schedules receive settings as resources.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from podcast_assets.common.errors import Misconfigured
from podcast_assets.common.log_lines import configure_json_logging
from podcast_assets.common.printable_logs import level_number
from podcast_assets.common.redacted_output import redact_output
from podcast_assets.config.settings import Settings
from podcast_assets.defs.assets.catalog import catalog
from podcast_assets.defs.assets.content_flags import content_flags
from podcast_assets.defs.assets.diarized_segments import diarized_segments
from podcast_assets.defs.assets.episode_shards import episode_shards
from podcast_assets.defs.assets.hf_dataset import hf_dataset
from podcast_assets.defs.assets.hf_shards import hf_shards
from podcast_assets.defs.assets.punctuated_texts import punctuated_texts
from podcast_assets.defs.assets.quality_scores import quality_scores
from podcast_assets.defs.assets.raw_audio import raw_audio
from podcast_assets.defs.assets.review_decisions import publish_reviews_job, review_decisions
from podcast_assets.defs.assets.second_opinions import second_opinions
from podcast_assets.defs.assets.statistics import statistics, statistics_job
from podcast_assets.defs.assets.transcripts import transcripts
from podcast_assets.defs.dagster_internals import (
    override_log_level,
    redact_stored_errors,
    sleep_while_waiting_for_a_pool,
)
from podcast_assets.defs.janitor import tidy_up
from podcast_assets.defs.jobs import podcast_dataset
from podcast_assets.defs.loggers import console_logger, status_line_logger, terminal_logger
from podcast_assets.defs.releases import enough_sealed, nightly_release, release_dataset
from podcast_assets.defs.resources import PipelineResource, ReleaseResource, StoreResource
from podcast_assets.defs.schedules import hourly_janitor, hourly_statistics, nightly_retry
from podcast_assets.defs.sensors.due_feeds import due_feeds
from podcast_assets.defs.sensors.new_batches import new_batches
from podcast_assets.defs.sensors.new_decisions import new_decisions
from podcast_assets.defs.sensors.run_alerts import (
    tell_of_cancellation,
    tell_of_failure,
    tell_of_start,
    tell_of_success,
)
from podcast_assets.stages.profiles import Profile, widest_profile
from podcast_assets.stages.requirements import GPU_POOL, gpu_pool

_BATCH_ASSETS = (
    raw_audio,
    diarized_segments,
    transcripts,
    second_opinions,
    punctuated_texts,
    quality_scores,
    content_flags,
    hf_shards,
    episode_shards,
)


def build_definitions(
    settings: Settings | None = None,
    *,
    resource_overrides: Mapping[str, Any] | None = None,
    asset_overrides: Sequence[dg.AssetsDefinition] = (),
) -> dg.Definitions:
    """Build the definitions of this project.

    Args:
        settings: settings of the definitions; by default read from the environment.
        resource_overrides: name → resource to use instead, such as in tests.
        asset_overrides: assets to use instead of those with the same keys.

    Raises:
        ValueError: an override replaces nothing.
    """
    settings = settings or Settings()
    if settings.log_format == "json":
        configure_json_logging(level_number(settings.log_level))
    override_log_level(None if settings.log_level == "info" else level_number(settings.log_level))
    sleep_while_waiting_for_a_pool()
    redact_output()
    redact_stored_errors()
    profile = _widest_profile(settings)
    assets = [
        *(a.definition(gpu_pool(a.stages, profile) if profile else GPU_POOL) for a in _BATCH_ASSETS),
        catalog,
        hf_dataset,
        statistics,
        review_decisions,
    ]
    resources = {
        # not a configurable resource, because the UI would show its secret
        "settings": dg.ResourceDefinition.hardcoded_resource(
            settings, "Settings of the sensors, the schedules and the janitor."
        ),
        "store": StoreResource(root=settings.store, follow_links=settings.allow_links, access=settings.store_access),
        "pipeline": PipelineResource.of(settings),
        "releases": ReleaseResource.of(settings),
    }
    return dg.Definitions(
        assets=list(_apply_overrides({a.key: a for a in assets}, {a.key: a for a in asset_overrides}).values()),
        jobs=[
            podcast_dataset(settings),
            release_dataset(settings),
            statistics_job(settings),
            publish_reviews_job(settings),
            tidy_up,
        ],
        schedules=[
            nightly_retry(settings),
            hourly_janitor(settings),
            hourly_statistics(settings),
            nightly_release(settings),
        ],
        sensors=[
            new_batches,
            due_feeds,
            new_decisions,
            enough_sealed,
            tell_of_start,
            tell_of_failure,
            tell_of_cancellation,
            tell_of_success,
        ],
        resources=_apply_overrides(resources, resource_overrides or {}),
        loggers={
            "console": console_logger(settings),
            "terminal": terminal_logger(settings),
            "status_line": status_line_logger(settings),
        },
        # a process per step would load Dagster, and a shared model, once per step
        executor=dg.in_process_executor,
    )


def _widest_profile(settings: Settings) -> Profile | None:
    """Profile with every engine that a run may load; None if the settings are invalid, which each run reports."""
    try:
        return widest_profile(settings)
    except Misconfigured:
        return None


def _apply_overrides(defined: Mapping[Any, Any], overrides: Mapping[Any, Any]) -> dict[Any, Any]:
    if unknown := overrides.keys() - defined.keys():
        raise ValueError(f"nothing is defined as {', '.join(map(str, unknown))}, so it cannot be overridden")
    return {**defined, **overrides}
