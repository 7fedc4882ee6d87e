"""Release of sealed samples as the next state of a dataset, atomically.

The dataset itself is the only record of what was published: each release reads its head, plans the differences and uploads only
those. Running a release again after any failure resumes it.
"""

import hashlib
import logging
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

import polars as pl

from podcast_assets.common.errors import BadInput, Misconfigured
from podcast_assets.release import tables
from podcast_assets.release.assemble import AssembledShard, DamagedShard, assemble_shard
from podcast_assets.release.card.write import CARD
from podcast_assets.release.foreign_tables import ForeignTables, batch_of_table, read_foreign_tables
from podcast_assets.release.holdings import (
    Holdings,
    current_clearance_signature,
    is_still_sealed,
    read_holdings,
)
from podcast_assets.release.options import ReleaseOptions
from podcast_assets.release.plan import (
    PlannedShard,
    ReleasePlan,
    grain_and_batch_of,
    grain_language_split,
    plan_release,
)
from podcast_assets.release.published import EPISODES, LIST, Part, PublishedShard, parse_shard_list
from podcast_assets.release.result import ReleaseResult, commit_message, describe_still_published
from podcast_assets.release.sample_codec import declared_codec, require_one_codec, sealed_codecs
from podcast_assets.release.selection import SealedPart, count_not_released
from podcast_assets.release.small_files import OWN_FOLDERS, changed_tables, make_small_files, removed_files
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
"""Name of the lock; not a valid batch name."""
TRIES = 8
"""Attempts before a release gives up because the head keeps changing."""
_PICTURES = "assets/"


class Contended(RuntimeError):
    """A release could not be committed after several attempts."""


class StillPublished(BadInput):
    """A part of the dataset that this store cannot rebuild contains something that must not be published."""


def release(store: Store, target: ReleaseTarget, options: ReleaseOptions) -> ReleaseResult:
    """Publish all sealed samples that may be released. Only one release runs at a time per machine; on the Hub, commits conflict.

    Raises:
        BadInput: a sealed shard or a table is damaged; nothing was published.
        Contended: other releases keep changing the dataset, or the target does not answer.
        StillPublished: everything else is published, but something that must be removed could not be.
    """
    result = _release_once(store, target, options)
    if result.podcasts_in_several_splits:
        log.warning(
            "%s: %d podcasts have episodes in several splits, because not every batch knows their guid; the card names them",
            result.where,
            result.podcasts_in_several_splits,
        )
    if result.still_published.height:
        raise StillPublished(describe_still_published(result))
    return result


def _release_once(store: Store, target: ReleaseTarget, options: ReleaseOptions) -> ReleaseResult:
    assembled: dict[tuple[Part, ...], AssembledShard] = {}
    with store.batch_lock(LOCK):
        for attempt in range(1, TRIES):
            try:
                return _Release(store, target, options, assembled).run()
            except Stale as stale:
                wait = stale.wait or min(2.0**attempt, 60.0)
                log.warning("%s: %s; trying again in %.0f s (%d of %d)", target.where, stale, wait, attempt, TRIES)
                time.sleep(wait)
        try:
            return _Release(store, target, options, assembled).run()
        except Stale as stale:
            raise Contended(f"{target.where}: {stale} ({TRIES} attempts). Run the release again to resume") from stale


def preview(store: Store, target: ReleaseTarget, options: ReleaseOptions) -> ReleaseResult:
    """Preview a release; nothing is written anywhere. Shard sizes are estimates without the end-of-archive blocks."""
    return _Release(store, target, options, {}).preview()


class _Release:
    """One attempt of a release onto a head."""

    def __init__(
        self,
        store: Store,
        target: ReleaseTarget,
        options: ReleaseOptions,
        assembled: dict[tuple[Part, ...], AssembledShard],
    ) -> None:
        self.store, self.target, self.options, self.assembled = store, target, options, assembled
        self.holdings: Holdings = read_holdings(store, options.publish, options.licenses, options.review_policy())
        self.head: PublishedHead = target.head()
        self.before = parse_shard_list(target.read(self.head, LIST)) if LIST in self.head.files else []
        self.wanted = self.holdings.wanted()
        self.hours = self.holdings.hours()
        self.foreign_batches = {p.batch for s in self.before for p in s.parts} - self.holdings.batches - options.dropped
        """Published batches whose segments are not in this store."""
        self.foreign = self._read_foreign_tables()
        known, self.foreign = self._without_refused(self.foreign)
        published = self.foreign.published()
        self.still_published = self.holdings.judged.refused(published) if published is not None else pl.DataFrame()
        self.codec = self._choose_codec()
        self.podcasts_in_several_splits = 0
        self.plan: ReleasePlan = plan_release(
            self.before,
            self.wanted,
            known=known,
            shard_bytes=options.shard_bytes,
            dropped=options.dropped,
        )

    def run(self) -> ReleaseResult:
        # a dataset with an empty list may still have files or history to remove
        if not self.plan.shards and not any(p == LIST or p.startswith(OWN_FOLDERS) for p in self.head.files):
            return self._make_result([], changed=False)
        with self.target.change(self.head) as change:
            shards, uploaded = self._make_shards(change)
            small_files = self._make_small_files(shards)
            differing = self._differing_files(small_files)
            removed = removed_files(self.head.files, {*small_files, *(s.path for s in shards)}, self.foreign_batches)
            self._note_superseded(shards, small_files)  # content removed earlier may have been taken down since
            if not uploaded and not removed and all(p.startswith(_PICTURES) for p in differing):
                # plots differ between machines by their fonts, which is no reason for a release
                return self._finish(self._make_result(shards, changed=False), str(self.head.revision))
            for path, data in differing.items():
                change.add(path, data)
            for path in removed:
                change.remove(path)
            result = self._make_result(shards, changed=True, files=differing, uploaded=uploaded)
            revision = change.commit(commit_message(result), self._check_cleared)
        return self._finish(result, revision)

    def _check_cleared(self) -> None:
        """Check that the clearance has not changed during the uploads."""
        if current_clearance_signature(self.store, self.options.licenses, self.holdings) != self.holdings.signature:
            raise Stale("the clearance has changed meanwhile", wait=0.1)

    def preview(self) -> ReleaseResult:
        sizes = {w.part: w.bytes for w in self.wanted}
        shards = [
            p.before
            if p.stays and p.before
            else self._published_shard(p, AssembledShard("", sum(sizes.get(part, 0) for part in p.parts)))
            for p in self.plan.shards
        ]
        uploaded = [s for s, p in zip(shards, self.plan.shards, strict=True) if not self._is_published(p)]
        differing = self._differing_files(self._make_small_files(shards)) if LIST in self.head.files else {}
        differing_tables = changed_tables(differing, self.head.files, {p.batch for s in uploaded for p in s.parts})
        changed = bool(uploaded or self.plan.removed or any(not p.startswith(_PICTURES) for p in differing))
        return replace(self._make_result(shards, changed=changed, uploaded=uploaded), tables=differing_tables)

    def _differing_files(self, small_files: Mapping[str, bytes]) -> dict[str, bytes]:
        """Files that differ from the published ones."""
        head = self.head.files
        return {path: data for path, data in small_files.items() if path not in head or not head[path].is_content(data)}

    # -- tables of other stores ----------------------------------------------------------------------------------

    def _read_foreign_tables(self) -> ForeignTables:
        """Read the tables of the dataset that this store cannot make."""
        parts = [p for s in self.before for p in s.parts if s.grain == EPISODES and p.batch in self.holdings.batches]
        whole = {p.batch for p in parts if grain_and_batch_of(p) not in self.holdings.known} - self.options.dropped
        return read_foreign_tables(
            self.head.files, lambda path: self.target.read(self.head, path), self.foreign_batches, whole
        )

    def _choose_codec(self) -> str:
        stays = self.foreign.metadata or self.foreign.episodes or self.foreign.beside
        published = declared_codec(self.target.read(self.head, CARD)) if stays and CARD in self.head.files else None
        sealed = sealed_codecs(self.store, self.holdings.segments, self.holdings.whole)
        codec = require_one_codec(sealed, published, self.target.where) or self.options.codec
        if codec != self.options.codec:
            log.info(
                "samples keep the codec %s with which they were sealed; %s applies to newly sealed ones",
                codec,
                self.options.codec,
            )
        return codec

    def _without_refused(self, found: ForeignTables) -> tuple[frozenset[tuple[str, str]], ForeignTables]:
        """Remove the whole episodes of batches in which one must not be published; return what is known and what stays."""
        whole = [t.drop_nulls("shard") for t in found.beside.values()]
        if all(t.is_empty() for t in whole):
            return self.holdings.known, found
        refused = set(self.holdings.judged.refused(pl.concat(whole, how="diagonal_relaxed"))["batch"])
        for batch in sorted(refused):
            log.warning(
                "batch %s: one of its whole episodes may not be published any more, and episode_shards was written by another "
                "version: all of them are taken out until it is materialized again",
                batch,
            )
        beside = {path: table for path, table in found.beside.items() if batch_of_table(path) not in refused}
        return self.holdings.known | {(EPISODES, b) for b in refused}, replace(found, beside=beside)

    # -- shards --------------------------------------------------------------------------------------------------

    def _make_shards(self, change: ReleaseChange) -> tuple[list[PublishedShard], list[PublishedShard]]:
        """Make and upload the shards of the release; return all of them, and the uploaded ones."""
        parts = self.holdings.parts()
        shards: list[PublishedShard] = []
        uploaded: list[PublishedShard] = []
        for planned in self.plan.shards:
            if self._is_published(planned) and planned.before:
                shards.append(planned.before)
                continue
            made = self._upload_shard(change, planned, [self._find_source(parts, planned, p) for p in planned.parts])
            shards.append(self._published_shard(planned, made))
            uploaded.append(shards[-1])
        return shards, uploaded

    def _is_published(self, planned: PlannedShard) -> bool:
        """Whether a shard is published as planned and its bytes match the list."""
        found = self.head.files.get(planned.path)
        before = planned.before
        return planned.stays and found is not None and before is not None and found.is_file(before.sha256, before.bytes)

    def _find_source(
        self, parts: Mapping[tuple[str, str], SealedPart], planned: PlannedShard, part: Part
    ) -> SealedPart:
        found = parts.get((part.batch, part.shard))
        if found is None:
            raise DamagedShard(
                f"{self.target.where}: {planned.path} is missing or damaged, and its batch {part.batch} "
                "is not in this store: release from the store that has it, or remove it with `release --drop BATCH`"
            )
        return found

    def _upload_shard(self, change: ReleaseChange, planned: PlannedShard, sources: list[SealedPart]) -> AssembledShard:
        """Assemble and upload a shard, unless an interrupted release has uploaded it."""
        known = self.assembled.get(planned.parts)
        sha256 = known.sha256 if known else sources[0].sha256 if len(sources) == 1 and sources[0].whole else None
        if sha256 and (size := change.reuse(planned.path, sha256)) is not None:
            return AssembledShard(sha256, size)
        file = change.scratch / "shard.tar"
        with file.open("wb") as out:
            try:
                made = assemble_shard(self.store, sources, out)
            except DamagedShard as error:
                if all(is_still_sealed(self.store, s.batch, s.shard, s.sha256) for s in sources):
                    raise
                raise Stale(f"the batch was sealed again meanwhile: {error}", wait=0.1) from error
        change.add_file(planned.path, file, made.sha256)
        file.unlink(missing_ok=True)
        self.assembled[planned.parts] = made
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

    def _make_small_files(self, shards: list[PublishedShard]) -> dict[str, bytes]:
        """Path → content of all files other than shards, without the tables of other stores, which stay."""
        made = make_small_files(
            self.store,
            self.target,
            self.head,
            self.options,
            self.holdings,
            self.foreign,
            shards,
            foreign_batches=self.foreign_batches,
            codec=self.codec,
        )
        self.podcasts_in_several_splits = made.podcasts_in_several_splits
        return made.content

    # -- history -------------------------------------------------------------------------------------------------

    def _note_superseded(self, shards: Iterable[PublishedShard], small_files: Mapping[str, bytes]) -> None:
        """Record before the commit which objects must be purged from the history after it."""
        if not (self.target.repo and self.options.purge_history):
            return
        batches = batches_to_purge(self.store, self.target.repo, self.holdings.judged.takedowns)
        if not batches:
            return
        after = {s.path: s.sha256 for s in shards} | {p: hashlib.sha256(d).hexdigest() for p, d in small_files.items()}
        removed = superseded_objects(self.before, self.head.files, after, batches)
        for earlier in self.target.history(self.head):
            listed = parse_shard_list(self.target.read(earlier, LIST)) if LIST in earlier.files else []
            removed |= superseded_objects(listed, earlier.files, after, batches)
        note_superseded(self.store, self.target.repo, removed)

    def _finish(self, result: ReleaseResult, revision: str) -> ReleaseResult:
        """Tag the release, then purge the history."""
        try:
            revision = self._purge_history(revision)
        except Misconfigured as refused:
            tag = self.target.tag(revision)
            raise Misconfigured(
                f"{self.target.where}: released as {tag}, but taken-down content is still in its history: {refused}. "
                "Set PODCAST_PURGE_HISTORY=false to leave it there"
            ) from refused
        return replace(result, revision=revision, tag=self.target.tag(revision))

    def _purge_history(self, revision: str) -> str:
        if not self.options.purge_history:
            return revision
        if self.target.repo and self.still_published.is_empty():
            note_followed(self.store, self.target.repo, self.holdings.judged.takedowns)
        return self.target.purge(self.store, revision)

    # -- result --------------------------------------------------------------------------------------------

    def _make_result(
        self,
        shards: list[PublishedShard],
        *,
        changed: bool,
        files: Mapping[str, bytes] | None = None,
        uploaded: Collection[PublishedShard] = (),
    ) -> ReleaseResult:
        files = files or {}
        before = {s.path for s in self.before}
        refused = self.holdings.clearance.filter(~pl.col("cleared"))
        return ReleaseResult(
            where=self.target.where,
            revision=self.head.revision,
            tag=None,
            changed=changed,
            new=[s.path for s in uploaded if s.path not in before],
            anew=[s.path for s in uploaded if s.path in before],
            removed=self.plan.removed,
            kept=len(shards) - len(uploaded),
            files=len(files),
            bytes=sum(s.bytes for s in uploaded) + sum(map(len, files.values())),
            totals=tables.count_by_grain(shards),
            not_released=count_not_released(self.holdings.segments, self.holdings.clearance),
            shards=shards,
            reasons=refused.select("batch", "episode_id", "reason", "detail"),
            advice=clearance_advice(self.holdings.clearance, LicenceRules.of(self.options.licenses)),
            podcasts_in_several_splits=self.podcasts_in_several_splits,
            still_published=self.still_published,
        )
