"""Files of a release other than shards: tables, the list of shards, the pipeline and the card."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from podcast_assets.release import tables
from podcast_assets.release.card.facts import DatasetFacts
from podcast_assets.release.card.write import render_card
from podcast_assets.release.foreign_tables import ForeignTables, batch_of_table
from podcast_assets.release.holdings import Holdings, read_pipelines
from podcast_assets.release.options import ReleaseOptions
from podcast_assets.release.published import FOLDERS, LIST, TABLE_FOLDERS, PublishedShard, format_shard_list
from podcast_assets.release.selection import count_not_released
from podcast_assets.release.splits import podcasts_in_several_splits
from podcast_assets.release.targets.protocol import PublishedHead, ReleaseTarget
from podcast_assets.store.review_tables import read_report
from podcast_assets.store.store import Store

OWN_FOLDERS = (*(f"{folder}/" for folder in FOLDERS.values()), *TABLE_FOLDERS, "assets/")
"""Folders of a dataset that only releases write to."""


@dataclass(frozen=True)
class SmallFiles:
    """Content of the files of a release other than shards."""

    content: dict[str, bytes]
    """Path in the dataset → content, without the tables of other stores, which stay as they are."""
    podcasts_in_several_splits: int
    """Number of podcasts with episodes in several splits."""


def make_small_files(
    store: Store,
    target: ReleaseTarget,
    head: PublishedHead,
    options: ReleaseOptions,
    holdings: Holdings,
    foreign: ForeignTables,
    shards: Sequence[PublishedShard],
    *,
    foreign_batches: Collection[str],
    codec: str,
) -> SmallFiles:
    """Make all files of a release other than shards.

    Args:
        store: store that is released from.
        target: target of the release.
        head: state of the dataset that the release follows.
        options: options of the release.
        holdings: what the store holds and may release.
        foreign: published tables that the store cannot make.
        shards: all shards of the release.
        foreign_batches: published batches whose segments are not in the store.
        codec: suffix of the audio members, without the dot.
    """
    ends = foreign.ends()
    segments = tables.place_samples(holdings.segments, shards, ends)
    whole = tables.place_samples(holdings.whole, shards, ends)
    if (foreign_whole := foreign.whole()) is not None:
        whole = pl.concat([whole.select(foreign_whole.columns), foreign_whole], how="vertical_relaxed")
    metadata = tables.metadata_tables(segments)
    episodes = tables.episode_tables(segments, whole, holdings.segments, holdings.episodes, holdings.clearance)
    all_metadata = [*metadata.values(), *foreign.metadata.values()]
    all_episodes = [*episodes.values(), *foreign.episodes.values()]
    pipeline = _merge_pipeline(store, target, head, options, holdings, shards, sorted(foreign_batches))
    facts = DatasetFacts(
        repo=target.repo,
        metadata=pl.concat(all_metadata, how="diagonal_relaxed") if all_metadata else segments.clear(),
        episodes=pl.concat(all_episodes, how="diagonal_relaxed") if all_episodes else pl.DataFrame(),
        shards=list(shards),
        pipeline=pipeline,
        codec=codec,
        sample_rate=int(segments["sample_rate"].max() or 0),  # type: ignore[arg-type]
        policy=", ".join(segments["policy"].drop_nulls().unique().sort().to_list()),
        not_released=count_not_released(holdings.segments, holdings.clearance),
        review_report=read_report(store),
        gated=options.gated,
    )
    content = {
        **{path: tables.to_parquet(table) for path, table in (metadata | episodes).items()},
        LIST: format_shard_list(shards),
        tables.PIPELINE: tables.to_json(pipeline),
        **render_card(facts),
    }
    return SmallFiles(content, len(podcasts_in_several_splits(facts.episodes)))


def changed_tables(differing: Iterable[str], published: Collection[str], uploaded: Collection[str]) -> list[str]:
    """Changed tables of batches without new shards; the hashes of new shards are not known before they are made.

    Args:
        differing: paths of files that differ from the published ones.
        published: paths of the dataset's files.
        uploaded: batches with new shards.
    """
    return sorted(
        path
        for path in differing
        if path.startswith(TABLE_FOLDERS) and path in published and batch_of_table(path) not in uploaded
    )


def removed_files(published: Iterable[str], released: Collection[str], foreign_batches: Collection[str]) -> list[str]:
    """Published files that the release removes.

    Args:
        published: paths of the dataset's files.
        released: paths of all shards and other files of the release.
        foreign_batches: batches whose tables stay.
    """
    return [
        path
        for path in published
        if path.startswith(OWN_FOLDERS)
        and path not in released
        and not (path.startswith(TABLE_FOLDERS) and batch_of_table(path) in foreign_batches)
    ]


def _merge_pipeline(
    store: Store,
    target: ReleaseTarget,
    head: PublishedHead,
    options: ReleaseOptions,
    holdings: Holdings,
    shards: Sequence[PublishedShard],
    foreign_batches: Sequence[str],
) -> dict[str, Any]:
    batches = sorted({p.batch for s in shards for p in s.parts} & holdings.batches)
    published: Mapping[str, Any] = (
        json.loads(target.read(head, tables.PIPELINE)) if tables.PIPELINE in head.files else {}
    )
    settings = {"publish": options.publish, "licenses": options.licenses}
    if options.exclude:  # the file of a release without rules stays as earlier versions wrote it
        settings["exclude"] = options.exclude
    return tables.merge_pipelines(read_pipelines(store, batches), settings, published, foreign_batches)
