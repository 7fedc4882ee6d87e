"""The second grain of `hf_shards`: whole episodes, where the settings ask for them; and what both grains share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import polars as pl

from podcast_assets.audio.form import AudioForm
from podcast_assets.config.settings import Settings
from podcast_assets.defs.assets.batches import do_stage
from podcast_assets.defs.assets.facts import preview
from podcast_assets.shards import sealing
from podcast_assets.shards.episode_grain import episode_content
from podcast_assets.stages.compute.base import Compute
from podcast_assets.stages.package_episodes import PackageEpisodes
from podcast_assets.stages.results import StageRun
from podcast_assets.stages.speech_input import by_episode, episodes
from podcast_assets.stages.stage import Episode, stage_fingerprint
from podcast_assets.store.commits import Checkpoints, CommittedTable, commit
from podcast_assets.store.store import Store, diarization_key, encoded_key, table_key

TABLE = "episode_shards"


@dataclass(frozen=True)
class EpisodeGrain:
    """What became of the second grain of a batch."""

    versions: Sequence[str] = ()
    """Sealed folders that its table speaks of."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Metadata for the UI."""


def episode_grain(
    context: dg.AssetExecutionContext,
    room: Store,
    settings: Settings,
    batch: str,
    audio: pl.DataFrame,
    content: pl.DataFrame,
    compute: Compute,
    *,
    run_episodes: Sequence[str],
) -> EpisodeGrain:
    """Seal the episodes whose segments are sealed, whole; without the setting, remove what an earlier run sealed.

    An episode that cannot be encoded has no sample in this grain, and is listed among the failures of its stage.

    Args:
        context: of the asset.
        room: the store.
        settings: of this run.
        batch: the batch.
        audio: its `raw_audio`.
        content: of `sample_content`.
        compute: workers of `hf_shards`.
        run_episodes: the episodes whose segments are sealed.
    """
    if "episodes" not in settings.grains.split(","):
        room.remove(table_key(TABLE, batch))
        return EpisodeGrain()
    stage = PackageEpisodes(room, batch, audio_form(settings))
    own = content.filter(pl.col("episode_id").is_in(list(run_episodes)))
    whole = episode_content(audio, own)
    todo = _episodes(room, batch, audio, own, whole, stage.form)
    before = CommittedTable.read(room, TABLE, batch)
    wanted = {e.episode_id: stage_fingerprint(stage, e) for e in todo}
    done = {e: f for e, f in wanted.items() if before.entry(e, f) is not None}
    version = sealing.content_version(done, whole, settings.shard_bytes, sealing.EPISODES)
    kept = whole.filter(pl.col("episode_id").is_in(list(done)))
    gone = [e for e, f in wanted.items() if e not in done and not before.failed_for_good(e, f)]
    if not gone and not (settings.retry_permanent and len(done) < len(wanted)):
        places = sealing.find_sealed(room, batch, version, kept, before.table, sealing.EPISODES)
        if places is not None:
            return _told(sealing.episodes_table(places, kept), before.failures.height)
    run = do_stage(context, settings, stage, batch, todo, room, compute)
    fingerprints = dict(run.provenance.select("episode_id", "fingerprint").iter_rows())
    version = sealing.content_version(fingerprints, whole, settings.shard_bytes, sealing.EPISODES)
    places = sealing.seal_episodes(
        room,
        batch,
        version,
        whole,
        encoded(run),
        suffix=settings.shard_codec,
        shard_bytes=settings.shard_bytes,
    )
    rows = sealing.episodes_table(places, whole)
    checkpoints = Checkpoints(room, stage.name, batch, stage.columns)
    if wrong := sealing.find_damaged_shards(room, batch, rows, sealing.EPISODES):
        checkpoints.remove()
        raise OSError(read_back_differs(batch, wrong))
    commit(room, TABLE, batch, rows, run.provenance, run.failures)
    checkpoints.remove()
    return _told(rows, run.failures.height)


def _episodes(
    room: Store, batch: str, audio: pl.DataFrame, content: pl.DataFrame, whole: pl.DataFrame, form: AudioForm
) -> list[Episode]:
    samples = by_episode(content.drop("overlap", "degraded", "split"))
    about = {
        r["episode_id"]: r
        for r in whole.select(
            "episode_id", "podcast_id", "podcast", "title", "duration", "language", "license"
        ).iter_rows(named=True)
    }
    return episodes(
        audio.filter(pl.col("episode_id").is_in(list(samples))),
        lambda row: {
            **{k: row[k] for k in ("original", "sample_rate", "channels", "container")},
            "audio_codec": row["codec"],
            "nothing_else": row["audio_streams"] == 1 and not row["has_video"],
            "form": form.parts(),
            "about": about[row["episode_id"]],
            "samples": samples[row["episode_id"]],
            "rttm": _rttm(room, batch, row["episode_id"]),
        },
    )


def _rttm(room: Store, batch: str, episode_id: str) -> str | None:
    """The full diarization of an episode, where it is there."""
    try:
        return room.read(diarization_key(batch, episode_id, "rttm")).decode()
    except FileNotFoundError:
        return None


def _told(rows: pl.DataFrame, failed: int) -> EpisodeGrain:
    return EpisodeGrain(
        sorted(sealing.sealed_versions(rows)),
        {
            "whole_episodes": rows.height,
            "whole_episodes_failed": failed,
            "episode_shards": preview(sealing.shard_list(rows), ["shard", "sha256", "samples", "hours"], rows=50),
        },
    )


def audio_form(settings: Settings) -> AudioForm:
    """The form that audio has in the shards."""
    return AudioForm(settings.shard_codec, settings.shard_rate, settings.shard_channels, settings.loudness)


def encoded(run: StageRun) -> list[sealing.EncodedEpisode]:
    """What a stage encoded of each episode that is done."""
    return [
        sealing.EncodedEpisode(
            run.rows(episode),
            fingerprint,
            encoded_key(run.stage.name, run.batch, episode, fingerprint),
        )
        for episode, fingerprint in run.provenance.select("episode_id", "fingerprint").iter_rows()
    ]


def read_back_differs(batch: str, wrong: Sequence[str]) -> str:
    """What people are told when shards are not what was encoded."""
    return (
        f"batch {batch}: shards read back differ from what was encoded: {'; '.join(wrong)}. Nothing is committed; materialize "
        "hf_shards again, which encodes anew, and look at the disk and memory of this machine if it comes back."
    )
