"""Release of sealed samples as the next state of a dataset, atomically.

The dataset itself is the only memory of what was published: each release looks at its head, plans what differs, and brings only
that. To run it again after whatever went wrong is to resume it.
"""

import hashlib
import json
import logging
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

import polars as pl

from podcast_assets.common.errors import BadInput, Misconfigured
from podcast_assets.release import tables
from podcast_assets.release.assemble import AssembledShard, DamagedShard, assemble_shard
from podcast_assets.release.card.facts import DatasetFacts
from podcast_assets.release.card.write import CARD, render_card
from podcast_assets.release.holdings import (
    Holdings,
    current_clearance_signature,
    is_still_sealed,
    read_holdings,
    read_pipelines,
)
from podcast_assets.release.kept import ForeignTables, batch_of_table, read_foreign_tables
from podcast_assets.release.options import ReleaseOptions
from podcast_assets.release.plan import (
    PlannedShard,
    ReleasePlan,
    grain_and_batch_of,
    grain_language_split,
    plan_release,
)
from podcast_assets.release.published import EPISODES, LIST, Part, PublishedShard, format_shard_list, parse_shard_list
from podcast_assets.release.result import ReleaseResult, commit_message, describe_still_published
from podcast_assets.release.sample_codec import declared_codec, require_one_codec, sealed_codecs
from podcast_assets.release.selection import SealedPart, count_not_released
from podcast_assets.release.splits import podcasts_in_several_splits
from podcast_assets.release.targets.hub_history import (
    batches_to_purge,
    note_followed,
    note_superseded,
    superseded_objects,
)
from podcast_assets.release.targets.protocol import PublishedHead, ReleaseChange, ReleaseTarget, Stale
from podcast_assets.rights.clearance import clearance_advice
from podcast_assets.rights.licences import LicenceRules
from podcast_assets.store.store import Store

log = logging.getLogger(__name__)

LOCK = "_release"
"""Lock of the store; no batch can be called so."""
TRIES = 8
"""Looks at the head before a release is given up: each finds that something else has happened since."""
_OURS = ("data/", "episode_data/", "metadata/", "episodes/", "assets/")
"""Folders of a dataset in which nobody else has files."""
_PICTURES = "assets/"


class Contended(RuntimeError):
    """A release could not be committed after several attempts."""


class StillPublished(BadInput):
    """A part of the dataset that this store cannot rebuild contains something that must not be published."""


def release(store: Store, target: ReleaseTarget, options: ReleaseOptions) -> ReleaseResult:
    """Publish all sealed samples that may be released. One at a time on this machine; a Hub keeps others apart by their commits.

    Raises:
        BadInput: a sealed shard or a table is damaged; it is named, and nothing was published.
        Contended: others publish to the same place all the time, or it never answers.
        StillPublished: all else is published, and what must go could not be taken out.
    """
    done = _release_once(store, target, options)
    if done.podcasts_in_several_splits:
        log.warning(
            "%s: %d podcasts have episodes in several splits, because not every batch knows their guid; the card names them",
            done.where,
            done.podcasts_in_several_splits,
        )
    if done.still_published.height:
        raise StillPublished(describe_still_published(done))
    return done


def _release_once(store: Store, target: ReleaseTarget, options: ReleaseOptions) -> ReleaseResult:
    made: dict[tuple[Part, ...], AssembledShard] = {}
    with store.batch_lock(LOCK):
        for attempt in range(1, TRIES):
            try:
                return _Release(store, target, options, made).run()
            except Stale as stale:
                wait = stale.wait or min(2.0**attempt, 60.0)
                log.warning("%s: %s; looking again in %.0f s (%d of %d)", target.where, stale, wait, attempt, TRIES)
                time.sleep(wait)
        try:
            return _Release(store, target, options, made).run()
        except Stale as stale:
            raise Contended(
                f"{target.where}: {stale}, for the {TRIES}th time. Run the release again to resume"
            ) from stale


def preview(store: Store, target: ReleaseTarget, options: ReleaseOptions) -> ReleaseResult:
    """Preview a release; nothing is written anywhere. Sizes of shards are estimates without their tar headers' end."""
    return _Release(store, target, options, {}).preview()


class _Release:
    """One attempt of a release onto a head."""

    def __init__(
        self, store: Store, target: ReleaseTarget, options: ReleaseOptions, made: dict[tuple[Part, ...], AssembledShard]
    ) -> None:
        self.store, self.target, self.options, self.made = store, target, options, made
        self.held: Holdings = read_holdings(store, options.publish, options.licenses)
        self.head: PublishedHead = target.head()
        self.before = parse_shard_list(target.read(self.head, LIST)) if LIST in self.head.files else []
        self.wanted = self.held.wanted()
        self.hours = self.held.hours()
        self.kept = self._read_foreign_tables()
        known, self.kept = self._without_refused(self.kept)
        published = self.kept.published()
        self.still_published = self.held.judged.refused(published) if published is not None else pl.DataFrame()
        self.codec = self._choose_codec()
        self.in_several = 0
        self.plan: ReleasePlan = plan_release(
            self.before,
            self.wanted,
            known=known,
            shard_bytes=options.shard_bytes,
            dropped=options.dropped,
        )

    def run(self) -> ReleaseResult:
        # an empty list is a dataset still: what was to go with its last shard may be there, or in the history
        if not self.plan.shards and not any(p == LIST or p.startswith(_OURS) for p in self.head.files):
            return self._make_result([], changed=False)
        with self.target.change(self.head) as change:
            shards, brought = self._make_shards(change)
            small = self._small_files(shards)
            differing = self._differing_files(small)
            gone = self._removed_files([s.path for s in shards], small)
            self._note_superseded(shards, small)  # what went for another reason may have been taken down since
            if not brought and not gone and all(p.startswith(_PICTURES) for p in differing):
                # fonts of another machine are no reason for a release
                return self._finish(self._make_result(shards, changed=False), str(self.head.revision))
            for path, data in differing.items():
                change.add(path, data)
            for path in gone:
                change.remove(path)
            told = self._make_result(shards, changed=True, files=differing, brought=brought)
            revision = change.commit(commit_message(told), self._check_cleared)
        return self._finish(told, revision)

    def _check_cleared(self) -> None:
        """Check that the clearance has not changed during the uploads."""
        if current_clearance_signature(self.store, self.options.licenses, self.held) != self.held.signature:
            raise Stale("the clearance has changed meanwhile", wait=0.1)

    def preview(self) -> ReleaseResult:
        sizes = {w.part: w.bytes for w in self.wanted}
        shards = [
            p.before
            if p.stays and p.before
            else self._published_shard(p, AssembledShard("", sum(sizes.get(part, 0) for part in p.parts)))
            for p in self.plan.shards
        ]
        brought = [s for s, p in zip(shards, self.plan.shards, strict=True) if not self._is_there(p)]
        differing = self._differing_files(self._small_files(shards)) if LIST in self.head.files else {}
        retold = _tables_of(differing, self.head.files, {p.batch for s in brought for p in s.parts})
        changed = bool(brought or self.plan.removed or any(not p.startswith(_PICTURES) for p in differing))
        return replace(self._make_result(shards, changed=changed, brought=brought), tables=retold)

    def _differing_files(self, small: Mapping[str, bytes]) -> dict[str, bytes]:
        """Files that differ from the published ones."""
        head = self.head.files
        return {path: data for path, data in small.items() if path not in head or not head[path].is_content(data)}

    # -- what this store does not have ------------------------------------------------------------------------------

    def _foreign_batches(self) -> set[str]:
        """Published batches of which this store has no segments."""
        return {p.batch for s in self.before for p in s.parts} - self.held.batches - self.options.dropped

    def _read_foreign_tables(self) -> ForeignTables:
        """Read the tables of the dataset that this store cannot make."""
        parts = [p for s in self.before for p in s.parts if s.grain == EPISODES and p.batch in self.held.batches]
        whole = {p.batch for p in parts if grain_and_batch_of(p) not in self.held.known} - self.options.dropped
        return read_foreign_tables(
            self.head.files, lambda path: self.target.read(self.head, path), self._foreign_batches(), whole
        )

    def _choose_codec(self) -> str:
        stays = self.kept.metadata or self.kept.episodes or self.kept.beside
        published = declared_codec(self.target.read(self.head, CARD)) if stays and CARD in self.head.files else None
        sealed = sealed_codecs(self.store, self.held.segments, self.held.whole)
        codec = require_one_codec(sealed, published, self.target.where) or self.options.codec
        if codec != self.options.codec:
            log.info(
                "samples are %s as they were sealed; %s is for what is sealed from now on", codec, self.options.codec
            )
        return codec

    def _without_refused(self, found: ForeignTables) -> tuple[frozenset[tuple[str, str]], ForeignTables]:
        """What is known, and what stays, once the whole episodes of a batch are out of which one may not be published."""
        whole = _concat([t.drop_nulls("shard") for t in found.beside.values()], None)
        if whole.is_empty():
            return self.held.known, found
        refused = set(self.held.judged.refused(whole)["batch"])
        for batch in sorted(refused):
            log.warning(
                "batch %s: one of its whole episodes may not be published any more, and episode_shards was written by another "
                "version: all of them are taken out until hf_shards is materialized again",
                batch,
            )
        beside = {path: table for path, table in found.beside.items() if batch_of_table(path) not in refused}
        return self.held.known | {(EPISODES, b) for b in refused}, replace(found, beside=beside)

    # -- shards --------------------------------------------------------------------------------------------------

    def _make_shards(self, change: ReleaseChange) -> tuple[list[PublishedShard], list[PublishedShard]]:
        """All shards of the release, and those of them that were brought for it."""
        parts = self.held.parts()
        shards: list[PublishedShard] = []
        brought: list[PublishedShard] = []
        for planned in self.plan.shards:
            if self._is_there(planned) and planned.before:
                shards.append(planned.before)
                continue
            made = self._bring_shard(change, planned, [self._find_source(parts, planned, p) for p in planned.parts])
            shards.append(self._published_shard(planned, made))
            brought.append(shards[-1])
        return shards, brought

    def _is_there(self, planned: PlannedShard) -> bool:
        """Whether a shard is published as it is to be, and its bytes are what the list says."""
        found = self.head.files.get(planned.path)
        before = planned.before
        return planned.stays and found is not None and before is not None and found.is_file(before.sha256, before.bytes)

    def _find_source(
        self, parts: Mapping[tuple[str, str], SealedPart], planned: PlannedShard, part: Part
    ) -> SealedPart:
        found = parts.get((part.batch, part.shard))
        if found is None:
            raise DamagedShard(
                f"{self.target.where}: {planned.path} is missing or damaged, and batch {part.batch}, which it was made "
                "of, is not in this store: release from the store that has it, or take it out with `release --drop BATCH`"
            )
        return found

    def _bring_shard(self, change: ReleaseChange, planned: PlannedShard, sources: list[SealedPart]) -> AssembledShard:
        """Assemble and upload a shard, unless an interrupted release has uploaded it."""
        known = self.made.get(planned.parts)
        sha256 = known.sha256 if known else sources[0].sha256 if len(sources) == 1 and sources[0].whole else None
        if sha256 and (size := change.has(planned.path, sha256)) is not None:
            return AssembledShard(sha256, size)
        file = change.scratch / "shard.tar"
        with file.open("wb") as out:
            try:
                made = assemble_shard(self.store, sources, out)
            except DamagedShard as error:
                if all(is_still_sealed(self.store, s.batch, s.shard, s.sha256) for s in sources):
                    raise
                raise Stale(f"resealed meanwhile: {error}", wait=0.1) from error
        change.add_file(planned.path, file, made.sha256)
        file.unlink(missing_ok=True)
        self.made[planned.parts] = made
        log.info("%s: uploaded %s, %s bytes", self.target.where, planned.path, f"{made.bytes:,}")
        return made

    def _published_shard(self, planned: PlannedShard, made: AssembledShard) -> PublishedShard:
        grain, language, split = grain_language_split(planned.path)
        hours = sum(self.hours.get((p.batch, p.shard), 0.0) for p in planned.parts)
        samples = sum(p.samples for p in planned.parts)
        return PublishedShard(
            planned.path, made.sha256, made.bytes, samples, round(hours, 6), language, split, grain, planned.parts
        )

    # -- tables and card -----------------------------------------------------------------------------------------

    def _small_files(self, shards: list[PublishedShard]) -> dict[str, bytes]:
        """Path → content of everything that is no shard. What belongs to batches of other stores stays and is not in it."""
        others = sorted(self._foreign_batches())
        other_metadata, other_episodes, ends = self.kept.metadata, self.kept.episodes, self.kept.ends()
        segments = tables.place_samples(self.held.segments, shards, ends)
        whole = tables.place_samples(self.held.whole, shards, ends)
        if (beside := self.kept.whole()) is not None:
            whole = pl.concat([whole.select(beside.columns), beside], how="vertical_relaxed")
        metadata = tables.metadata_tables(segments)
        episodes = tables.episode_tables(segments, whole, self.held.segments, self.held.episodes, self.held.clearance)
        pipeline = self._merge_pipeline(sorted({p.batch for s in shards for p in s.parts} & self.held.batches), others)
        facts = DatasetFacts(
            repo=self.target.repo,
            metadata=_concat([*metadata.values(), *other_metadata.values()], segments),
            episodes=_concat([*episodes.values(), *other_episodes.values()], None),
            shards=shards,
            pipeline=pipeline,
            codec=self.codec,
            sample_rate=int(segments["sample_rate"].max() or 0),  # type: ignore[arg-type]
            policy=", ".join(segments["policy"].drop_nulls().unique().sort().to_list()),
            not_released=count_not_released(self.held.segments, self.held.clearance),
            gated=self.options.gated,
        )
        self.in_several = len(podcasts_in_several_splits(facts.episodes))
        return {
            **{path: tables.to_parquet(table) for path, table in (metadata | episodes).items()},
            LIST: format_shard_list(shards),
            tables.PIPELINE: tables.to_json(pipeline),
            **render_card(facts),
        }

    def _merge_pipeline(self, batches: list[str], others: list[str]) -> dict[str, Any]:
        before = json.loads(self.target.read(self.head, tables.PIPELINE)) if tables.PIPELINE in self.head.files else {}
        settings = {"publish": self.options.publish, "licenses": self.options.licenses}
        return tables.merge_pipelines(read_pipelines(self.store, batches), settings, before, others)

    def _removed_files(self, shards: Iterable[str], small: Mapping[str, bytes]) -> list[str]:
        """Files to remove from the dataset."""
        wanted = {*shards, *small}
        others = self._foreign_batches()
        return [
            path
            for path in self.head.files
            if path.startswith(_OURS)
            and path not in wanted
            and not (path.startswith(("metadata/", "episodes/")) and batch_of_table(path) in others)
        ]

    # -- history -------------------------------------------------------------------------------------------------

    def _note_superseded(self, shards: Iterable[PublishedShard], small: Mapping[str, bytes]) -> None:
        """Record before the commit which objects must be purged from the history after it."""
        if not (self.target.repo and self.options.purge_history):
            return
        batches = batches_to_purge(self.store, self.target.repo, self.held.judged.takedowns)
        if not batches:
            return
        after = {s.path: s.sha256 for s in shards} | {p: hashlib.sha256(d).hexdigest() for p, d in small.items()}
        gone = superseded_objects(self.before, self.head.files, after, batches)
        for earlier in self.target.history(self.head):
            listed = parse_shard_list(self.target.read(earlier, LIST)) if LIST in earlier.files else []
            gone |= superseded_objects(listed, earlier.files, after, batches)
        note_superseded(self.store, self.target.repo, gone)

    def _finish(self, told: ReleaseResult, revision: str) -> ReleaseResult:
        """Tag the release, then purge the history."""
        try:
            revision = self._purge_history(revision)
        except Misconfigured as refused:
            tag = self.target.tag(revision)
            raise Misconfigured(
                f"{self.target.where}: released as {tag}, but what was taken down is still in its history: {refused}. "
                "PODCAST_PURGE_HISTORY=false leaves it there"
            ) from refused
        return replace(told, revision=revision, tag=self.target.tag(revision))

    def _purge_history(self, revision: str) -> str:
        if not self.options.purge_history:
            return revision
        if self.target.repo and self.still_published.is_empty():
            note_followed(self.store, self.target.repo, self.held.judged.takedowns)
        return self.target.purge(self.store, revision)

    # -- what is told --------------------------------------------------------------------------------------------

    def _make_result(
        self,
        shards: list[PublishedShard],
        *,
        changed: bool,
        files: Mapping[str, bytes] | None = None,
        brought: Collection[PublishedShard] = (),
    ) -> ReleaseResult:
        files = files or {}
        before = {s.path for s in self.before}
        refused = self.held.clearance.filter(~pl.col("cleared"))
        return ReleaseResult(
            where=self.target.where,
            revision=self.head.revision,
            tag=None,
            changed=changed,
            new=[s.path for s in brought if s.path not in before],
            anew=[s.path for s in brought if s.path in before],
            removed=self.plan.removed,
            kept=len(shards) - len(brought),
            files=len(files),
            bytes=sum(s.bytes for s in brought) + sum(map(len, files.values())),
            totals=tables.count_by_grain(shards),
            not_released=count_not_released(self.held.segments, self.held.clearance),
            shards=shards,
            reasons=refused.select("batch", "episode_id", "reason", "detail"),
            advice=clearance_advice(self.held.clearance, LicenceRules.of(self.options.licenses)),
            podcasts_in_several_splits=self.in_several,
            still_published=self.still_published,
        )


def _tables_of(differing: Iterable[str], published: Collection[str], brought: Collection[str]) -> list[str]:
    """Tables among the files that differ, of batches whose shards are known: those of shards to come have no hash yet."""
    return sorted(
        path
        for path in differing
        if path.startswith(("metadata/", "episodes/")) and path in published and batch_of_table(path) not in brought
    )


def _concat(found: list[pl.DataFrame], like: pl.DataFrame | None) -> pl.DataFrame:
    return pl.concat(found, how="diagonal_relaxed") if found else (like.clear() if like is not None else pl.DataFrame())
