"""A small published dataset: samples that readers find hard, sealed and released by the code that seals and releases."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from podcast_assets.audio.encode import Codec, encode
from podcast_assets.release.options import ReleaseOptions
from podcast_assets.release.published import PublishedShard, parse_shard_list
from podcast_assets.release.release import release
from podcast_assets.release.targets.folder import FolderTarget
from podcast_assets.release.targets.protocol import ReleaseTarget
from podcast_assets.shards import sealing
from podcast_assets.shards.episode_grain import episode_content, episode_json
from podcast_assets.shards.members import MembersWriter
from podcast_assets.stages.package import sample_json
from podcast_assets.store.commits import commit
from podcast_assets.store.schema import (
    FAILURES,
    PROVENANCE,
    QUALITY_SCORES,
    RAW_AUDIO,
    SEGMENTS,
    TRANSCRIPTS,
    Columns,
    empty_table,
    make_table,
)
from podcast_assets.store.store import Store

RATE = 16_000
BATCHES = {"b1": ("a", "b"), "b2": ("c", "a")}
"""Batch → the shows that its episodes are of."""
TEXTS = ("hello", "", 'a "quoted" <text> & more', "Grüße, naïve façade", "你好世界", "שלום", "line\nbreak\ttab")


@dataclass(frozen=True)
class Published:
    """A dataset in a folder."""

    folder: Path
    codec: str

    @property
    def shards(self) -> list[PublishedShard]:
        return parse_shard_list((self.folder / "shards.jsonl").read_bytes())

    @property
    def metadata(self) -> pl.DataFrame:
        return pl.concat(pl.read_parquet(p) for p in sorted(self.folder.glob("metadata/*/*.parquet")))

    @property
    def episodes(self) -> pl.DataFrame:
        return pl.concat(pl.read_parquet(p) for p in sorted(self.folder.glob("episodes/*.parquet")))

    def samples(self, language: str | None = None, split: str | None = None) -> dict[str, tuple[str, str]]:
        """Key → text, SHA-256 of the audio."""
        rows = self.metadata
        for column, value in (("language", language), ("split", split)):
            rows = rows if value is None else rows.filter(pl.col(column) == value)
        return {k: (t, a) for k, t, a in rows.select("segment_id", "text", "audio_sha256").iter_rows()}


def publish(folder: Path, *, codec: Codec = "flac", shard_bytes: int = 30_000, episodes: bool = False) -> Published:
    """Release a dataset of two batches, two languages and two splits, with several shards of each, to a folder."""
    publish_to(FolderTarget(folder), folder.with_name(f"{folder.name}-store"), codec, shard_bytes, episodes=episodes)
    return Published(folder, codec)


def publish_to(
    target: ReleaseTarget, store: Path, codec: Codec = "flac", shard_bytes: int = 30_000, *, episodes: bool = False
) -> None:
    """Release the dataset of `publish` to any target, from a store in the folder `store`."""
    sealed = Store.at(store)
    for batch, shows in BATCHES.items():
        _seal(sealed, batch, shows, codec, shard_bytes, episodes)
    release(sealed, target, ReleaseOptions("all", "*", shard_bytes=shard_bytes, codec=codec))


def _seal(store: Store, batch: str, shows: Sequence[str], codec: Codec, shard_bytes: int, episodes: bool) -> None:
    audio, content, scores = _tables(batch, shows)
    encoded = [_encoded(store, episode, rows, codec) for episode, rows in _by_episode(content)]
    places = sealing.seal_segments(store, batch, "v1", content, encoded, suffix=codec, shard_bytes=shard_bytes)
    made_with = json.dumps({"version": "1", "settings": {"codec": codec}})
    made = _rows(PROVENANCE, [{"episode_id": e, "made_with": made_with} for e, _ in _by_episode(content)])
    commit(store, "raw_audio", batch, audio, made, empty_table(FAILURES))
    if episodes:
        about = episode_content(audio, content)
        whole = [_whole(store, row, content, codec) for row in about.iter_rows(named=True)]
        found = sealing.seal_episodes(store, batch, "e1", about, whole, suffix=codec, shard_bytes=shard_bytes)
        commit(store, "episode_shards", batch, sealing.episodes_table(found, about), made, empty_table(FAILURES))
    commit(store, "hf_shards", batch, sealing.shards_table(places, content, scores), made, empty_table(FAILURES))


def _tables(batch: str, shows: Sequence[str]) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Rows of `raw_audio`, content of the samples, scores."""
    audio, segments, texts, scores = [], [], [], []
    for number, show in enumerate(shows):
        episode = f"{batch}-{show}-{number}"
        audio.append(
            {"episode_id": episode, "source": f"{episode}.mp3", "status": "done", "duration": 24.0}
            | {"podcast_id": show_id(show), "podcast": "A | show", "title": f"Title of *{episode}*"}
            | {"license": "CC-BY-4.0", "sha256": hashlib.sha256(episode.encode()).hexdigest()}
        )
        for index in range(12):
            start, end = index * 2.0, index * 2.0 + (1.0 if index % 3 else 0.75)
            key = {
                "segment_id": f"{episode}-{round(start * 1000):09d}-{round(end * 1000):09d}",
                "episode_id": episode,
                "segment_index": index,
            }
            segments.append(
                key
                | {"start": start, "end": end, "duration": end - start, "overlap": 0.0, "degraded": False}
                | {"speaker": None if index == 3 else f"SPEAKER_0{index % 2}"}
            )
            # nulls beside values, and lists that are empty: what inference of types breaks on
            word = {"word": "hello", "start": None if index < 7 else start, "end": None, "probability": None}
            texts.append(
                key
                | {"text": TEXTS[index % len(TEXTS)], "language": "de" if index % 4 == 3 else "en", "degraded": False}
                | {"words": [word] if index % 2 else [], "avg_logprob": None if index < 6 else -1.0}
            )
            figures = {"dnsmos_ovrl": 2.5 + index % 5 / 3, "snr_db": 10.0 + index, "source_bandwidth_hz": 7000.0}
            keep = index % 4 > 0
            judged = {"keep": keep, "reject_reasons": [] if keep else ["too noisy"], "policy": "asr-v1"}
            scores.append(key | figures | judged)
    raw = _rows(RAW_AUDIO, audio)
    return (
        raw,
        sealing.sample_content(raw, _rows(SEGMENTS, segments), _rows(TRANSCRIPTS, texts)),
        _rows(QUALITY_SCORES, scores),
    )


def show_id(name: str) -> str:
    """Id of a podcast of the split that is wanted: a and c for training, b for testing."""
    split = "test" if name == "b" else "train"
    return next(f"{name}{n}" for n in range(10_000) if sealing.split_of(f"{name}{n}") == split)


def _by_episode(content: pl.DataFrame) -> list[tuple[str, pl.DataFrame]]:
    groups = content.partition_by("episode_id", as_dict=True, maintain_order=True)
    return [(str(episode), rows) for (episode,), rows in groups.items()]


def _encoded(store: Store, episode: str, rows: pl.DataFrame, codec: Codec) -> sealing.EncodedEpisode:
    key = f"encoded/{episode}"
    with store.writing(key) as file:
        members = MembersWriter(file)
        for row in rows.iter_rows(named=True):
            audio = encode(_tone(row["duration"], 200 + 10 * row["segment_index"]), RATE, codec)
            members.add(row["segment_id"], sample_json(row, RATE), audio, rate=RATE, channels=1)
    return sealing.EncodedEpisode(members.rows(), f"fingerprint of {episode}", key)


def _whole(store: Store, about: dict[str, Any], content: pl.DataFrame, codec: Codec) -> sealing.EncodedEpisode:
    episode = about["episode_id"]
    note = episode_json(about, content.filter(episode_id=episode), None, sample_rate=RATE)
    audio = encode(_tone(2.0, 100 + len(episode)), RATE, codec)
    store.write(f"encoded/{episode}-whole", audio)
    row = {"episode_id": episode, "json": note, "json_sha256": hashlib.sha256(note).hexdigest()}
    row |= {"audio_size": len(audio), "audio_sha256": hashlib.sha256(audio).hexdigest()}
    frame = pl.DataFrame([row]).with_columns(sample_rate=pl.lit(RATE, pl.Int32), channels=pl.lit(1, pl.Int32))
    return sealing.EncodedEpisode(frame, f"fingerprint of {episode}", f"encoded/{episode}-whole")


def _tone(seconds: float, hertz: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    times = np.arange(int(seconds * RATE)) / RATE
    return (0.3 * np.sin(2 * np.pi * hertz * times) + 0.01 * np.cos(999 * times**2)).astype(np.float32)


def _rows(columns: Columns, rows: list[dict[str, Any]]) -> pl.DataFrame:
    return make_table([dict.fromkeys(columns) | row for row in rows], columns)
