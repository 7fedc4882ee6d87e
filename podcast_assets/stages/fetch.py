"""Download a list of URLs before its episodes are ingested: run the stage `download` on it, and account for every row."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from podcast_assets.common.redaction import redact_url
from podcast_assets.common.warned import BatchWarning
from podcast_assets.config.settings import Settings
from podcast_assets.intake.arrivals import INCOMING, Arrival
from podcast_assets.intake.episodes import TakenNames, make_unique
from podcast_assets.intake.links import Link, read_link_list
from podcast_assets.intake.metadata import JoinedMetadata
from podcast_assets.intake.page_statements import fill_from_page
from podcast_assets.intake.refusing import link_refusal
from podcast_assets.intake.unpack import SourceFile, UnpackedBatch
from podcast_assets.stages.compute.local import local_compute
from podcast_assets.stages.download import Download, downloaded_original, link_episode
from podcast_assets.stages.progress import Report
from podcast_assets.stages.results import StageRun
from podcast_assets.stages.runner import run_stage
from podcast_assets.store.commits import CommittedTable
from podcast_assets.store.discard_records import read_batch_discards
from podcast_assets.store.store import Store
from podcast_assets.store.takedown_records import Refusals

_OWN_METADATA = "a list of URLs has its metadata in itself"


@dataclass
class DownloadedList:
    """A list of URLs after its download, as if it had been unpacked from an archive."""

    unpacked: UnpackedBatch
    metadata: JoinedMetadata
    failures: pl.DataFrame
    """Links that are not downloaded, those that failed permanently in an earlier run among them."""
    downloaded: int = 0
    """Links downloaded in this run; the others were stored already."""
    failed_now: int = 0
    """Failures of this run."""
    reference_problems: list[str] = field(default_factory=list)
    """Publishers' transcripts that are not available."""
    warnings: list[BatchWarning] = field(default_factory=list)
    """The same, with the links whose transcripts they are."""


def download_list(
    store: Store,
    arrival: Arrival,
    settings: Settings,
    committed: CommittedTable | None = None,
    report: Report = lambda progress: None,
    *,
    discarded: Mapping[str, str] | None = None,
) -> DownloadedList:
    """Download everything that a list names and that is not stored yet.

    Args:
        store: where the list lies, and its files go.
        arrival: a batch that is a list.
        settings: limits, politeness, allowed hosts.
        committed: what the last run committed of the batch, if it was already read.
        report: called after each link.
        discarded: discarded episodes of the batch, with the reason; read from the store if missing.

    Raises:
        BadInput: the list cannot be read.
        NothingDone: all of several links failed, and none because of the link.
        OSError: the store is full or read-only.
    """
    name = arrival.files[0].key
    found = read_link_list(name, store.read(f"{INCOMING}/{name}"))
    refusals = Refusals.of(store)
    refused = {link.source: (link, why) for link in found.links if (why := link_refusal(refusals, link))}
    taken = TakenNames()
    links = {make_unique(link.failed_id, taken): link for link in found.links if link.source not in refused}
    described = list(links.values())
    reasons = read_batch_discards(store, arrival.batch) if discarded is None else discarded
    left_out = _discarded_links(store, arrival.batch, links, committed, reasons)
    links = {identity: link for identity, link in links.items() if identity not in left_out}
    stage = Download(store, arrival.batch, links, settings)
    with local_compute(stage, settings.prefetch) as compute:
        run = run_stage(
            stage,
            arrival.batch,
            [link_episode(link, identity) for identity, link in links.items()],
            store,
            compute,
            committed=committed,
            report=report,
            retry_permanent=settings.retry_permanent,
            keep_checkpoints=False,
        )
    result = DownloadedList(
        UnpackedBatch(
            skipped=found.skipped
            | dict.fromkeys((f.key for f in arrival.metadata), _OWN_METADATA)
            | {source: why for source, (_, why) in refused.items()}
            | {link.source: why for link, why in left_out.values()},
            broken=found.broken,
            identities={source: link.failed_id for source, (link, _) in refused.items()}
            | {link.source: identity for identity, (link, _) in left_out.items()},
        ),
        JoinedMetadata({link.source: describe_link(link.row) for link in described}, [], [], [], []),
        run.failures,
        failed_now=run.ran - len(run.done),
    )
    _add_files(result, run, links)
    for failure in run.failures.iter_rows(named=True):
        result.unpacked.broken[failure["source"]] = failure["message"]
        result.unpacked.identities[failure["source"]] = failure["episode_id"]
    return result


def _discarded_links(
    store: Store, batch: str, links: Mapping[str, Link], committed: CommittedTable | None, reasons: Mapping[str, str]
) -> dict[str, tuple[Link, str]]:
    """Links that are discarded and could not be downloaded, by id, with the reason shown to people."""
    if not reasons:
        return {}
    before = CommittedTable.read(store, "raw_audio", batch) if committed is None else committed
    done = set() if before.table is None else set(before.rows.filter(pl.col("sha256").is_not_null())["episode_id"])
    return {e: (link, reasons[e]) for e, link in links.items() if e in reasons and e not in done}


def _add_files(result: DownloadedList, run: StageRun, links: Mapping[str, Link]) -> None:
    """Add the links that are downloaded."""
    for identity in run.done:
        source, rows = links[identity].source, run.rows(identity)
        row = rows.row(0, named=True)
        result.downloaded += row["bytes_downloaded"] is not None
        result.reference_problems += row["reference_problems"]
        result.warnings += [BatchWarning("transcript_unavailable", source, p) for p in row["reference_problems"]]
        result.unpacked.files.append(SourceFile(source, downloaded_original(rows)))
        result.unpacked.identities[source] = row["episode_id"]
        if row["page"]:
            result.metadata.rows[source] = fill_from_page(result.metadata.rows[source], json.loads(row["page"]))
        if row["earlier"]:
            result.unpacked.earlier[source] = row["earlier"]


def describe_link(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a list's row as metadata keep it: `url` as it was given, and other addresses without their secrets."""
    result = dict(row)
    for name in ("transcript_url", "chapters"):
        if isinstance(row.get(name), str):
            result[name] = redact_url(row[name])
    if isinstance(row.get("transcripts"), list):
        result["transcripts"] = [
            item | {"url": redact_url(item["url"])}
            if isinstance(item, dict) and isinstance(item.get("url"), str)
            else item
            for item in row["transcripts"]
        ]
    return result
