"""Seal one grain of a batch: decide, encode, seal, read back, commit. The same for segments and for whole episodes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import polars as pl

from podcast_assets.audio.form import AudioForm
from podcast_assets.config.settings import Settings
from podcast_assets.shards import sealing
from podcast_assets.shards.sealing import Grain
from podcast_assets.stages.results import StageRun
from podcast_assets.stages.resume import decide
from podcast_assets.stages.stage import Episode, Stage, stage_fingerprint
from podcast_assets.store.commits import Checkpoints, CommittedTable, commit
from podcast_assets.store.store import Store, encoded_key


@dataclass(frozen=True)
class SealedGrain:
    """What became of one grain of a batch."""

    committed: CommittedTable
    run: StageRun | None
    """What was encoded; None where the same content was sealed before and nothing was written anew."""

    @property
    def version(self) -> str:
        """Folder of the shards, the first where a withdrawn episode left several; empty where there is none."""
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
    """Seal what has changed since it was sealed, commit the table, then remove shards that no table speaks of any more.

    Args:
        store: where the shards and the tables lie.
        batch: the batch.
        grain: what one sample is.
        stage: that encodes the samples.
        episodes: its work items.
        content: one row per sample, of those that should be sealed.
        settings: form and size of the shards.
        run: runs the stage on the episodes, from what the last run committed.
        table: the rows of the asset's table, from the places of the samples.
        other_grains: asset → committed table, of the batch's other grains where it was read already.

    Raises:
        OSError: the shards, read back, are not what was encoded. Nothing is committed then.
    """
    before = CommittedTable.read(store, stage.asset, batch)
    encoded = None
    provenance, failures = before.provenance, before.failures
    places = _sealed_before(store, batch, grain, stage, episodes, content, settings, before)
    if places is None:
        encoded = run(before)
        provenance, failures = encoded.provenance, encoded.failures
        done = dict(provenance.select("episode_id", "fingerprint").iter_rows())
        seal = sealing.seal_batch if grain is sealing.SEGMENTS else sealing.seal_episodes
        places = seal(
            store,
            batch,
            sealing.content_version(done, content, settings.shard_bytes, grain),
            content,
            _encoded(encoded),
            suffix=settings.shard_codec,
            shard_bytes=settings.shard_bytes,
        )
    rows = table(places)
    checkpoints = Checkpoints(store, stage.name, batch, stage.columns)
    if encoded and (wrong := sealing.find_damaged_shards(store, batch, rows, grain)):
        checkpoints.remove()  # the harm may have been done to what was encoded
        raise OSError(_read_back_differs(batch, stage.asset, wrong))
    committed = commit(store, stage.asset, batch, rows, provenance, failures)
    checkpoints.remove()
    _remove_other_versions(store, batch, {**other_grains, stage.asset: rows})
    return SealedGrain(committed, encoded)


def _remove_other_versions(store: Store, batch: str, known: Mapping[str, pl.DataFrame]) -> None:
    """Remove the sealed folders of a batch that no committed table of any grain speaks of; `known` are those read already."""
    tables = [
        known[asset] if asset in known else CommittedTable.read(store, asset, batch).table
        for asset in ("hf_shards", "episode_shards")
    ]
    sealing.remove_other_versions(
        store, batch, [v for t in tables if t is not None for v in sealing.sealed_versions(t)]
    )


def audio_form(settings: Settings) -> AudioForm:
    """The form that audio has in the shards."""
    return AudioForm(settings.shard_codec, settings.shard_rate, settings.shard_channels, settings.loudness)


def _sealed_before(
    store: Store,
    batch: str,
    grain: Grain,
    stage: Stage,
    episodes: Sequence[Episode],
    content: pl.DataFrame,
    settings: Settings,
    before: CommittedTable,
) -> pl.DataFrame | None:
    """Places of all samples in the shards that are there, where nothing has changed and nothing is to be tried again; else None."""
    fingerprints = {e.episode_id: stage_fingerprint(stage, e) for e in episodes}
    resume = decide(fingerprints, before, retry_permanent=settings.retry_permanent)
    if resume.todo:
        return None
    done = {e: fingerprints[e] for e in resume.committed}
    kept = content.filter(pl.col("episode_id").is_in(list(done)))
    version = sealing.content_version(done, content, settings.shard_bytes, grain)
    return sealing.find_sealed(store, batch, version, kept, before.table, grain)


def _encoded(run: StageRun) -> list[sealing.EncodedEpisode]:
    """What the stage encoded of each episode that is done."""
    return [
        sealing.EncodedEpisode(
            run.rows(episode), fingerprint, encoded_key(run.stage.name, run.batch, episode, fingerprint)
        )
        for episode, fingerprint in run.provenance.select("episode_id", "fingerprint").iter_rows()
    ]


def _read_back_differs(batch: str, asset: str, wrong: Sequence[str]) -> str:
    return (
        f"batch {batch}: shards read back differ from what was encoded: {'; '.join(wrong)}. Nothing is committed; materialize "
        f"{asset} again, which encodes anew, and look at the disk and memory of this machine if it comes back."
    )
