"""A small published dataset, made by the code that seals and releases, of samples that readers find hard."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from podcast_assets.audio.encode import Codec, encode
from podcast_assets.dataset import sealing
from podcast_assets.dataset.card.facts import NOT_RELEASED, DatasetFacts
from podcast_assets.dataset.card.write import card
from podcast_assets.dataset.published import LIST, SEGMENTS, Part, PublishedShard, write_list
from podcast_assets.schema import HF_SHARDS, QUALITY_SCORES, RAW_AUDIO, TRANSCRIPTS, schema, table
from podcast_assets.schema import SEGMENTS as SEGMENT_COLUMNS
from podcast_assets.stages.package import sample_json
from podcast_assets.store import Store

RATE = 16_000
TEXTS = ("hello", "", 'a "quoted" <text> & more', "Grüße, naïve façade", "你好世界", "שלום", "line\nbreak\ttab")


@dataclass(frozen=True)
class Published:
    """A dataset in a folder, and what is known of it."""

    folder: Path
    about: DatasetFacts

    @property
    def metadata(self) -> pl.DataFrame:
        return self.about.metadata

    def samples(self, language: str | None = None, split: str | None = None) -> dict[str, tuple[str, str]]:
        """Key → text, SHA-256 of the audio."""
        rows = self.metadata
        for column, value in (("language", language), ("split", split)):
            rows = rows if value is None else rows.filter(pl.col(column) == value)
        return {k: (t, a) for k, t, a in rows.select("segment_id", "text", "audio_sha256").iter_rows()}


def publish(folder: Path, *, codec: Codec = "flac", shard_bytes: int = 30_000, repo: str | None = None) -> Published:
    """Two batches, two languages, two splits, several shards of each."""
    store = Store.at(folder.with_name(f"{folder.name}-store"))
    shards: list[PublishedShard] = []
    tables: list[pl.DataFrame] = []
    episodes: list[dict[str, Any]] = []
    for batch, shows in (("b1", ("a", "b")), ("b2", ("c", "a"))):
        found = _content(batch, shows)
        places = sealing.seal_batch(
            store, batch, "v1", found, _encoded(found, codec), suffix=codec, shard_bytes=shard_bytes
        )
        scores = table([_scores(n, s) for n, s in enumerate(found["segment_id"])], QUALITY_SCORES)
        rows = sealing.shards_table(places, found, scores)
        tables.append(_released(store, folder, batch, rows, shards))
        episodes += [_episode(batch, e) for e in found["episode_id"].unique(maintain_order=True)]
    about = DatasetFacts(
        repo=repo,
        metadata=pl.concat(tables),
        episodes=pl.DataFrame(episodes),
        shards=shards,
        pipeline={
            "settings": {"PODCAST_SHARD_CODEC": codec, "PODCAST_POLICY": "asr"},
            "engines": {"0": {"stage": "transcribe", "engine": "made up", "made_with": {"version": "1|2"}}},
        },
        codec=codec,
        sample_rate=RATE,
        policy="asr-v1",
        not_released=table([{"reason": "blocked | by feed", "episodes": 2, "hours": 1.5}], NOT_RELEASED),
    )
    write(folder, about)
    return Published(folder, about)


def write(folder: Path, about: DatasetFacts) -> None:
    """Tables, list and card."""
    with_batch = about.metadata.with_columns(batch=pl.col("episode_id").str.split("-").list.first())
    files = {LIST: write_list(about.shards), "pipeline.json": json.dumps(about.pipeline).encode(), **card(about)}
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    for (language, batch), rows in with_batch.partition_by("language", "batch", as_dict=True).items():
        path = folder / f"metadata/{language}/{batch}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows.drop("batch").write_parquet(path)
    (folder / "episodes").mkdir(exist_ok=True)
    about.episodes.write_parquet(folder / "episodes/b.parquet")


def _content(batch: str, shows: Sequence[str]) -> pl.DataFrame:
    audio, segments, texts = [], [], []
    for number, show in enumerate(shows):
        episode = f"{batch}-{show}-{number}"
        audio.append({"episode_id": episode, "podcast_id": _show(show), "status": "done", "license": "CC-BY-4.0"})
        for index in range(12):
            start, end = index * 2.0, index * 2.0 + (1.0 if index % 3 else 0.75)
            key = {
                "segment_id": f"{episode}-{round(start * 1000):09d}-{round(end * 1000):09d}",
                "episode_id": episode,
                "segment_index": index,
            }
            segments.append(
                key
                | {"start": start, "end": end, "duration": end - start, "overlap": 0.0, "degraded": False, "flags": []}
                | {"speaker": None if index == 3 else f"SPEAKER_0{index % 2}"}
            )
            # the first samples have nulls where later ones have values: what inference of types breaks on
            word = {"word": "hello", "start": None if index < 7 else start, "end": None, "probability": None}
            texts.append(
                key
                | {"text": TEXTS[index % len(TEXTS)], "language": "de" if index % 4 == 3 else "en", "flags": []}
                | {"words": [word] if index % 2 else [], "avg_logprob": None if index < 6 else -1.0, "degraded": False}
            )
    rows = ((audio, RAW_AUDIO), (segments, SEGMENT_COLUMNS), (texts, TRANSCRIPTS))
    return sealing.sample_content(*(table([dict.fromkeys(c) | r for r in found], c) for found, c in rows))


def _show(name: str) -> str:
    """A podcast of a split that is wanted: a and c for training, b for testing."""
    split = "test" if name == "b" else "train"
    return next(f"{name}{n}" for n in range(10_000) if sealing.split_of(f"{name}{n}") == split)


def _encoded(found: pl.DataFrame, codec: Codec) -> Iterator[sealing.Encoded]:
    for (episode,), rows in found.partition_by("episode_id", as_dict=True, maintain_order=True).items():
        members = []
        for row in rows.iter_rows(named=True):
            times = np.arange(int(row["duration"] * RATE)) / RATE
            tone = 0.3 * np.sin(2 * np.pi * (200 + 10 * row["segment_index"]) * times) + 0.01 * np.cos(
                row["start"] + 999 * times**2
            )
            members.append(
                {
                    "segment_id": row["segment_id"],
                    "sample_rate": RATE,
                    "json": sample_json(row, RATE),
                    "audio": encode(tone.astype(np.float32), RATE, codec),
                }
            )
        yield sealing.Encoded(pl.DataFrame(members), f"fingerprint of {episode}")


def _scores(number: int, segment: str) -> dict[str, Any]:
    keep = number % 4 > 0
    figures = {"dnsmos_ovrl": 2.5 + number % 5 / 3, "snr_db": 10.0 + number % 30, "source_bandwidth_hz": 7000.0}
    said = {"keep": keep, "reject_reasons": [] if keep else ["too noisy"], "policy": "asr-v1"}
    return dict.fromkeys(QUALITY_SCORES) | {"segment_id": segment} | figures | said


def _episode(batch: str, episode: str) -> dict[str, Any]:
    about = {
        "title": f"Title of {episode}",
        "podcast": "A | show",
        "license": "CC-BY-4.0",
        "attribution": "By *somebody*",
    }
    return {"batch": batch, "episode_id": episode, "duration": 24.0, "source": "https://example.org/a.mp3", **about}


def _released(store: Store, folder: Path, batch: str, rows: pl.DataFrame, shards: list[PublishedShard]) -> pl.DataFrame:
    """Copy a batch's sealed shards to the dataset, each under the next number of its group."""
    for (sealed,), own in sorted(rows.partition_by("shard", as_dict=True, maintain_order=True).items()):
        part = str(sealed).partition("/")[2]
        group = part.rpartition("/")[0]
        number = sum(s.path.startswith(f"{group}/") for s in shards)
        path = f"{group}/audio_{number:06d}.tar"
        data = store.read(f"sealed/{batch}/{sealed}")
        (folder / group).mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
        hours = float(own["duration"].sum()) / 3600
        _, language, split = group.split("/")
        shards.append(
            PublishedShard(
                path, own["shard_sha256"][0], len(data), own.height, hours, language, split, SEGMENTS,
                (Part(batch, part, "0" * 64, own.height),),
            )
        )  # fmt: skip
        rows = rows.with_columns(shard=pl.col("shard").replace(sealed, path))
    return rows.select(schema(HF_SHARDS).names())


def with_gating(published: Published) -> DatasetFacts:
    return replace(published.about, gated=True)
