"""Asset `raw_audio`."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import dagster as dg
import polars as pl

from podcast_assets.common import plots
from podcast_assets.common.warned import BatchWarning
from podcast_assets.defs.assets.batches import BatchResult, batch_asset, do_stage, materialize_batches
from podcast_assets.defs.assets.facts import counts, picture, preview, run_facts, table_facts
from podcast_assets.defs.checks.tables import (
    durations_agree,
    files_accounted,
    metadata_coverage,
    no_failures,
    no_warnings,
)
from podcast_assets.defs.resources import PipelineResource, StoreResource
from podcast_assets.defs.runs.progress import report_progress
from podcast_assets.intake.archives.limits import ArchiveLimits
from podcast_assets.intake.arrivals import default_metadata, find_arrival
from podcast_assets.intake.duplicates import chromaprint as fingerprints
from podcast_assets.intake.duplicates import exact as duplicates
from podcast_assets.intake.duplicates import near as near_duplicates
from podcast_assets.intake.episodes import batch_rows, recordings, with_defaults
from podcast_assets.intake.metadata import JoinedMetadata
from podcast_assets.intake.refusing import refuse_files
from podcast_assets.intake.unpack import read_batch_metadata, unpack
from podcast_assets.stages.batch_warnings import batch_warnings
from podcast_assets.stages.choose_tracks import choose_tracks
from podcast_assets.stages.compute.choose import computing
from podcast_assets.stages.discarded import skip_discarded_files
from podcast_assets.stages.fetch import DownloadedList, download_list
from podcast_assets.stages.ingest import Ingest, ingest_episode
from podcast_assets.store.commits import CommittedTable
from podcast_assets.store.discard_records import read_batch_discards
from podcast_assets.store.store import Store
from podcast_assets.store.takedown_records import Refusals

ARRIVAL = "arrival"
"""Metadata key of the arrival's signature, from which the sensor knows batches that something else started."""


@batch_asset(
    group="intake",
    kinds={"parquet", "polars"},
    stages=[Ingest],
    code_version=Ingest.version,
)
def raw_audio(
    context: dg.AssetExecutionContext, store: StoreResource, pipeline: PipelineResource
) -> dg.MaterializeResult:
    """One row per file of the batch: hashes, codec, durations, metadata, and whether it is done, failed or skipped.

    The original file is stored under the hash of its content. Working audio for the later stages is mono 16 kHz FLAC, of the voice
    alone if a separator is set.
    """
    opened_store, settings = store.get(), pipeline.settings()
    # without the setting, no engine has to be available
    separator = Ingest.engine_of(pipeline.selected_profile()) if settings.separator else None
    stage = Ingest(opened_store, separator, longest=settings.max_hours * 3600)
    if settings.near_duplicates:
        fingerprints.load_chromaprint()  # a missing library is an error now, not after hours
    limits = ArchiveLimits(files=settings.archive_files, ratio=settings.archive_ratio)

    def work(batch: str) -> BatchResult:
        arrival = find_arrival(opened_store, batch)
        before = CommittedTable.read(opened_store, "raw_audio", batch)
        discarded = read_batch_discards(opened_store, batch)
        fetched = (
            download_list(opened_store, arrival, settings, before, report_progress(context), discarded=discarded)
            if arrival.is_list
            else None
        )
        unpacked = fetched.unpacked if fetched else unpack(opened_store, arrival, limits=limits)
        joined = fetched.metadata if fetched else read_batch_metadata(unpacked, settings.meta_key)
        refuse_files(opened_store, Refusals.of(opened_store), unpacked, joined)
        found = recordings(unpacked.files, unpacked.identities)
        found = choose_tracks(opened_store, found, joined, settings.tracks, before)
        run = do_stage(
            context,
            settings,
            stage,
            batch,
            [
                ingest_episode(
                    r.episode_id,
                    r.shown,
                    r.file.stored.sha256,
                    r.file.stored.key,
                    opus=settings.opus_copy,
                    tracks=r.tracks,
                )
                for r in found
                if r.duplicate_of is None
            ],
            opened_store,
            compute,
            before,
            discarded,
        )
        if fetched:
            run.failures, run.ran = pl.concat([fetched.failures, run.failures]), run.ran + fetched.failed_now
        # of several episodes of a file, its tracks, the first holds the bytes
        held = {r.file.stored.sha256: r.episode_id for r in reversed(found) if r.duplicate_of is None}
        also_in = duplicates.register_content(opened_store, batch, held)
        rows = batch_rows(unpacked, found, joined, run.table(), run.failures, also_in)
        rows = skip_discarded_files(rows, discarded)
        rows = with_defaults(rows, default_metadata(opened_store, arrival))
        of_batch = [*joined.unused, *(fetched.warnings if fetched else ())]
        warnings = batch_warnings({"raw_audio": run.commit(opened_store, rows, of_batch)})
        if before.table is not None:
            kept = before.table.filter(pl.col("sha256").is_not_null() & pl.col("duplicate_of").is_null())
            duplicates.unregister_content(
                opened_store, batch, set(kept.select("sha256", "episode_id").iter_rows()).difference(held.items())
            )
        done = rows.filter(status="done")
        return BatchResult(
            metadata={
                **table_facts(opened_store, "raw_audio", batch, rows),
                **run_facts(run),
                ARRIVAL: arrival.signature,
                **({"separator": stage.engine.name} if stage.engine else {}),
                **(_download_facts(fetched) if fetched else {}),
                "files": counts(dict(rows["status"].value_counts().iter_rows())),
                "hours": round(float(done["duration"].sum()) / 3600, 4),
                "bytes": int(rows["bytes"].sum()),
                "duplicates_in_batch": rows["duplicate_of"].count(),
                "duplicates_in_other_batches": len(also_in),
                **(_near_duplicates(context, opened_store, batch, done) if settings.near_duplicates else {}),
                **metadata_facts(joined),
                "warnings": preview(warnings_table(warnings), ["kind", "source", "message"], rows=50),
                "containers": counts(dict(done["container"].value_counts().iter_rows())),
                "not_done": preview(rows.filter(pl.col("status") != "done"), ["source", "status", "error"], rows=50),
                "episodes": preview(done, ["source", "duration", "codec", "sample_rate", "channels", "license"]),
                "durations": picture(
                    plots.draw_bars(
                        [(s, d) for s, d in done.select("source", "duration").head(40).iter_rows()], label="seconds"
                    ),
                    "duration of each episode",
                ),
            },
            verdicts={
                "episodes_accounted": files_accounted(rows, len(found) + len(unpacked.skipped) + len(unpacked.broken)),
                "no_failures": no_failures(run.failures),
                "durations_agree": durations_agree(rows),
                "metadata_coverage": metadata_coverage(
                    joined.files_without_metadata,
                    joined.metadata_without_file,
                    joined.duplicate_ids,
                    metadata_facts(joined),
                ),
                "no_warnings": no_warnings(warnings),
            },
        )

    with computing(stage, settings) as compute:
        return materialize_batches(context, store, work)


def _near_duplicates(context: dg.AssetExecutionContext, store: Store, batch: str, done: pl.DataFrame) -> dict[str, Any]:
    """Find recordings that are also in other batches, and return metadata that list them."""
    episodes = done.filter(pl.col("duplicate_of").is_null() & pl.col("working").is_not_null())
    found = near_duplicates.find_near_duplicates(
        store, batch, dict(episodes.select("episode_id", "working").iter_rows())
    )
    for trouble in found.troubles:
        context.log.warning(f"{batch}: not compared for near-duplicates: {trouble}")
    facts: dict[str, Any] = {
        "episodes_with_near_duplicates": found.rows["episode_id"].n_unique(),
        "near_duplicates": preview(found.rows, ["episode_id", "other", "share", "share_of_other", "offset"], rows=50),
    }
    return facts | ({"not_compared": list(found.troubles[:50])} if found.troubles else {})


def _download_facts(fetched: DownloadedList) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "downloaded_now": fetched.downloaded,
        "downloads_failed": fetched.failures.height,
        "changed_since_downloaded": len(fetched.unpacked.earlier),
    }
    if fetched.reference_problems:
        facts["references_not_had"] = fetched.reference_problems[:50]
    return facts


def warnings_table(warnings: Sequence[BatchWarning]) -> pl.DataFrame:
    """Return warnings as a table."""
    columns = {"kind": pl.String, "source": pl.String, "message": pl.String}
    return pl.DataFrame([asdict(w) for w in warnings], schema=columns)


def metadata_facts(joined: JoinedMetadata) -> dict[str, int]:
    """Count the files and metadata rows that match each other, and those that do not."""
    return {
        "files_with_metadata": len(joined.rows),
        "files_without_metadata_count": len(joined.files_without_metadata),
        "metadata_without_file_count": joined.ids_without_file,
        "duplicate_ids_count": joined.ids_repeated,
    }
