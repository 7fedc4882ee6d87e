"""Seal the shards of one grain of a batch, segments or whole episodes: encode, write, read back, commit."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import polars as pl

from podcast_assets.audio.form import AudioForm
from podcast_assets.config.settings import Settings
from podcast_assets.shards import check, sealing
from podcast_assets.shards.sealing import Grain
from podcast_assets.stages.results import StageRun
from podcast_assets.stages.resume import decide
from podcast_assets.stages.stage import Episode, Stage, stage_fingerprints
from podcast_assets.store.commits import Checkpoints, CommittedTable, commit
from podcast_assets.store.store import Store, encoded_key


@dataclass(frozen=True)
class SealedGrain:
    """Result of sealing one grain of a batch."""

    committed: CommittedTable
    run: StageRun | None
    """The run of the stage; None if the shards of an earlier run still hold the same content."""

    @property
    def version(self) -> str:
        """Folder of the shards; the first of several, which a takedown can leave; empty without shards."""
        return min(sealing.sealed_versions(self.committed.rows), default="")


def seal_grain(
    store: Store,
    batch: str,
    grain: Grain,
    stage: Stage,
    episodes: Sequence[Episode],
    content: pl.DataFrame,
    settings: Settings,
    *,
    run: Callable[[CommittedTable], StageRun],
    table: Callable[[pl.DataFrame], pl.DataFrame],
    other_grains: Mapping[str, pl.DataFrame] = MappingProxyType({}),
) -> SealedGrain:
    """Seal what has changed, commit the table, and remove the shards that no table refers to any more.

    Args:
        store: store of the batch.
        batch: name of the batch.
        grain: what one sample is.
        stage: encodes the samples.
        episodes: inputs of the stage.
        content: one row per sample to seal.
        settings: codec and size of the shards.
        run: runs the stage on the episodes, given what the last run committed.
        table: makes the asset's table from the placements of the samples in the shards.
        other_grains: asset → committed table of the batch's other grains, if already read.

    Raises:
        OSError: the shards differ from what was encoded when they are read back. Nothing is committed then.
    """
    before = CommittedTable.read(store, stage.asset, batch)
    checkpoints = Checkpoints(store, stage.name, batch, stage.columns)
    placements = _find_unchanged(store, batch, grain, stage, episodes, content, settings, before)
    if placements is not None:
        stage_run, provenance, failures = None, before.provenance, before.failures
        rows = table(placements)
    else:
        stage_run = run(before)
        provenance, failures = stage_run.provenance, stage_run.failures
        rows = table(_write_shards(store, stage_run, grain, content, settings))
        if damaged := check.find_damaged_shards(store, batch, rows, grain):
            checkpoints.remove()  # the encoded files may be damaged too
            raise OSError(
                f"batch {batch}: shards differ from what was encoded when read back: {'; '.join(damaged)}. Nothing was committed. "
                f"Materialize {stage.asset} again to encode them again; if this recurs, check the disk and memory of this machine."
            )
    committed = commit(store, stage.asset, batch, rows, provenance, failures)
    checkpoints.remove()
    _remove_other_versions(store, batch, {**other_grains, stage.asset: rows})
    return SealedGrain(committed, stage_run)


def audio_form(settings: Settings) -> AudioForm:
    """The form of the audio in the shards."""
    return AudioForm(settings.shard_codec, settings.shard_rate, settings.shard_channels, settings.loudness)


def _find_unchanged(
    store: Store,
    batch: str,
    grain: Grain,
    stage: Stage,
    episodes: Sequence[Episode],
    content: pl.DataFrame,
    settings: Settings,
    committed: CommittedTable,
) -> pl.DataFrame | None:
    """Placements of all samples in existing shards; None if content has changed or an episode has to be tried again."""
    fingerprints = stage_fingerprints(stage, episodes)
    resume = decide(fingerprints, committed, retry_permanent=settings.retry_permanent)
    if resume.todo:
        return None
    done = {e: fingerprints[e] for e in resume.committed}
    sealed = content.filter(pl.col("episode_id").is_in(list(done)))
    version = sealing.content_version(done, content, settings.shard_bytes, grain)
    return check.find_sealed(store, batch, version, sealed, committed.table, grain)


def _write_shards(
    store: Store, stage_run: StageRun, grain: Grain, content: pl.DataFrame, settings: Settings
) -> pl.DataFrame:
    """Write the encoded episodes into shards and return the placements of the samples."""
    done = dict(stage_run.provenance.select("episode_id", "fingerprint").iter_rows())
    seal = sealing.seal_segments if grain is sealing.SEGMENT_GRAIN else sealing.seal_episodes
    name, batch = stage_run.stage.name, stage_run.batch
    return seal(
        store,
        batch,
        sealing.content_version(done, content, settings.shard_bytes, grain),
        content,
        [
            sealing.EncodedEpisode(stage_run.rows(e), fingerprint, encoded_key(name, batch, e, fingerprint))
            for e, fingerprint in done.items()
        ],
        suffix=settings.shard_codec,
        shard_bytes=settings.shard_bytes,
    )


def _remove_other_versions(store: Store, batch: str, known: Mapping[str, pl.DataFrame]) -> None:
    """Remove the batch's folders of shards that no committed table refers to; `known` holds the tables already read."""
    tables = [
        known[asset] if asset in known else CommittedTable.read(store, asset, batch).table
        for asset in (g.asset for g in sealing.GRAINS)
    ]
    sealing.remove_other_versions(
        store, batch, [v for t in tables if t is not None for v in sealing.sealed_versions(t)]
    )
