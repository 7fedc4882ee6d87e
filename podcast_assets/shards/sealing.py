"""Sealing of a batch: the content of its samples, and their placement in shards."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from podcast_assets.common.fingerprint import fingerprint
from podcast_assets.shards.members import MembersReader
from podcast_assets.shards.tar_shards import (
    Sample,
    SealedShards,
    read_pieces,
    shuffle_key,
    split_of,
    write_shards,
)
from podcast_assets.store.schema import EPISODE_SHARDS, HF_SHARDS, Columns, schema
from podcast_assets.store.store import Store, sealed_key

UNKNOWN_LANGUAGE = "und"
"""ISO 639-2 code for a language that is not known."""

PLACEMENT_COLUMNS = (
    "shard",
    "shard_sha256",
    "json_offset",
    "json_size",
    "json_sha256",
    "audio_offset",
    "audio_size",
    "audio_sha256",
)
"""Where a sample is: its shard, and the offsets and hashes of its members in the tar."""
FORMAT_COLUMNS = ("sample_rate", "channels", "fingerprint")
"""What its audio was encoded as, and from."""


@dataclass(frozen=True)
class Grain:
    """Kind of sample: a segment or a whole episode."""

    name: str
    """Name in settings and in a dataset's list of shards."""
    asset: str
    """Asset that seals it, and whose table has the positions of the samples."""
    key: str
    """Column that holds the sample's key."""
    folder: str
    """Folder of the shards below their version."""
    columns: Columns
    """Columns of the table."""

    def group(self, language: str, split: str) -> str:
        """Folder of the shards of a language and a split."""
        return f"{self.folder}/{language}/{split}"


SEGMENT_GRAIN = Grain("segments", "hf_shards", "segment_id", "data", HF_SHARDS)
EPISODE_GRAIN = Grain("episodes", "episode_shards", "episode_id", "episode_data", EPISODE_SHARDS)
GRAINS = (SEGMENT_GRAIN, EPISODE_GRAIN)


def grain_of_shard(shard: str) -> Grain:
    """Grain of a sealed shard, `<version>/<folder>/…`."""
    folder = shard.split("/")[1]
    return next(grain for grain in GRAINS if grain.folder == folder)


def sample_content(raw_audio: pl.DataFrame, segments: pl.DataFrame, transcripts: pl.DataFrame) -> pl.DataFrame:
    """One row per transcribed segment: the content of its JSON member, and its split."""
    about = raw_audio.select("episode_id", "podcast_id", "podcast", "license")
    identity = pl.coalesce("podcast_id", "podcast", "episode_id")
    return (
        segments.select(
            "segment_id",
            "episode_id",
            "segment_index",
            "start",
            "end",
            "duration",
            "speaker",
            "overlap",
            pl.col("degraded").alias("degraded_segment"),
        )
        .join(
            transcripts.drop("episode_id", "segment_index", "text_language", "engine", "fingerprint"),
            on="segment_id",
            how="inner",
            maintain_order="left",
        )
        .join(about, on="episode_id", how="left", maintain_order="left")
        .with_columns(
            pl.col("language").fill_null(UNKNOWN_LANGUAGE),
            pl.col("degraded") | pl.col("degraded_segment"),
            split=identity.map_elements(split_of, return_dtype=pl.String),
        )
        .drop("degraded_segment", "podcast")
    )


@dataclass(frozen=True)
class EncodedEpisode:
    """Encoded members of an episode."""

    rows: pl.DataFrame
    """Rows of the stage: MEMBERS for segments, one row for a whole episode."""
    fingerprint: str
    file: str
    """Key of the file with the bytes."""


def seal_segments(
    store: Store,
    batch: str,
    version: str,
    content: pl.DataFrame,
    encoded: Sequence[EncodedEpisode],
    *,
    suffix: str,
    shard_bytes: int,
) -> pl.DataFrame:
    """Seal a batch's segments, shuffled, under `sealed/<batch>/<version>/`; return the placement, format and fingerprint of each.

    The order depends only on the samples' keys. Memory holds one sample and an index of all of them: the episodes' files are
    read in place in a local store, and copied to this machine from a bucket.

    Args:
        store: store to write to.
        batch: the batch.
        version: hash of this content; each content has its own folder, so that a committed table always matches its shards.
        content: result of `sample_content`.
        encoded: the encoded members of each episode.
        suffix: suffix of the audio members, without the dot.
        shard_bytes: size at which a shard is closed.
    """
    members = _shuffle_members(
        SEGMENT_GRAIN,
        content,
        [
            e.rows.select(pl.all(), file=pl.lit(n, pl.Int64), fingerprint=pl.lit(e.fingerprint))
            for n, e in enumerate(encoded)
        ],
    )
    with contextlib.ExitStack() as stack:
        paths = [stack.enter_context(store.local_copy(e.file)) for e in encoded]
        files = stack.enter_context(MembersReader(paths))

        def sample(row: dict) -> Sample:
            note, audio = files.pair(row["file"], row["members_offset"], row["json_size"], row["audio_size"])
            return Sample(
                row["segment_id"],
                row["group"],
                suffix,
                note,
                row["json_sha256"],
                audio,
                row["audio_size"],
                row["audio_sha256"],
            )

        samples = (sample(row) for row in members.iter_rows(named=True))
        sealed = write_shards(store, sealed_key(batch, version), samples, shard_bytes=shard_bytes)
    return _placement_table(SEGMENT_GRAIN, sealed, version, members)


def seal_episodes(
    store: Store,
    batch: str,
    version: str,
    content: pl.DataFrame,
    encoded: Sequence[EncodedEpisode],
    *,
    suffix: str,
    shard_bytes: int,
) -> pl.DataFrame:
    """Seal whole episodes like `seal_segments`; `content` is the result of `episode_content`.

    Audio is copied in small pieces, so that memory never holds a whole episode.
    """
    files = {str(e.rows["episode_id"][0]): e.file for e in encoded}
    members = _shuffle_members(
        EPISODE_GRAIN, content, [e.rows.select(pl.all(), fingerprint=pl.lit(e.fingerprint)) for e in encoded]
    )

    def samples() -> Iterator[Sample]:
        for row in members.iter_rows(named=True):
            with store.local_copy(files[row["episode_id"]]) as path, path.open("rb") as audio:
                yield Sample(
                    row["episode_id"],
                    row["group"],
                    suffix,
                    row["json"],
                    row["json_sha256"],
                    read_pieces(audio, row["audio_size"]),
                    row["audio_size"],
                    row["audio_sha256"],
                )

    sealed = write_shards(store, sealed_key(batch, version), samples(), shard_bytes=shard_bytes)
    return _placement_table(EPISODE_GRAIN, sealed, version, members)


def _shuffle_members(grain: Grain, content: pl.DataFrame, rows: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Concatenate the rows of all episodes, sorted by group and shuffled within each group."""
    if not rows:
        return pl.DataFrame(
            schema={grain.key: pl.String, "sample_rate": pl.Int32, "channels": pl.Int32, "fingerprint": pl.String}
        )
    groups = {
        key: grain.group(language, split)
        for key, language, split in content.select(grain.key, "language", "split").iter_rows()
    }
    every = pl.concat(rows)
    keys = every[grain.key].to_list()
    return (
        every.with_columns(
            group=pl.Series([groups[k] for k in keys], dtype=pl.String),
            shuffle_key=pl.Series([shuffle_key(k) for k in keys], dtype=pl.Binary),
        )
        .sort("group", "shuffle_key")
        .drop("shuffle_key")
    )


def _placement_table(grain: Grain, sealed: SealedShards, version: str, members: pl.DataFrame) -> pl.DataFrame:
    hashes = {s.path: s.sha256 for s in sealed.shards}
    rows = [
        (
            p.key,
            f"{version}/{p.shard}",
            hashes[p.shard],
            p.json_offset,
            p.json_size,
            p.json_sha256,
            p.audio_offset,
            p.audio_size,
            p.audio_sha256,
        )
        for p in sealed.placed
    ]
    types = schema(grain.columns)
    placements = pl.DataFrame(rows, schema={k: types[k] for k in (grain.key, *PLACEMENT_COLUMNS)}, orient="row")
    return placements.join(members.select(grain.key, *FORMAT_COLUMNS), on=grain.key, how="left", maintain_order="left")


def shards_table(placements: pl.DataFrame, content: pl.DataFrame, scores: pl.DataFrame) -> pl.DataFrame:
    """Make the table of `hf_shards`: placement, content and scores of each sealed segment, in the order of the shards."""
    judged = scores.drop("episode_id", "segment_index", "engine", "degraded", "fingerprint")
    return (
        placements.join(content, on="segment_id", how="left", maintain_order="left")
        .join(judged, on="segment_id", how="left", maintain_order="left")
        .select(schema(HF_SHARDS).names())
        .cast(schema(HF_SHARDS))  # type: ignore[arg-type]
    )


def episodes_table(placements: pl.DataFrame, content: pl.DataFrame) -> pl.DataFrame:
    """Make the table of `episode_shards`: placement and content of each sealed episode, in the order of the shards."""
    return (
        placements.join(content, on="episode_id", how="left", maintain_order="left")
        .select(schema(EPISODE_SHARDS).names())
        .cast(schema(EPISODE_SHARDS))  # type: ignore[arg-type]
    )


def content_version(
    fingerprints: Mapping[str, str], content: pl.DataFrame, shard_bytes: int, grain: Grain = SEGMENT_GRAIN
) -> str:
    """Hash of the sealed content: episodes with their fingerprints, their groups, and the shard size."""
    groups = content.filter(pl.col("episode_id").is_in(list(fingerprints))).select("language", "split").rows()
    return fingerprint(grain=grain.folder, episodes=fingerprints, groups=groups, shard_bytes=shard_bytes)[:12]


def remove_other_versions(store: Store, batch: str, kept: Sequence[str]) -> None:
    """Remove the sealed folders of a batch, except those of the kept versions."""
    for version in store.names(sealed_key(batch)).difference(kept):
        store.remove(sealed_key(batch, version))


def shard_list(table: pl.DataFrame) -> pl.DataFrame:
    """One row per shard of a batch: shard, sha256, samples, hours."""
    return table.group_by("shard", maintain_order=True).agg(
        sha256=pl.col("shard_sha256").first(), samples=pl.len(), hours=pl.col("duration").sum() / 3600
    )


def sealed_versions(table: pl.DataFrame) -> set[str]:
    """Versions, which are folders of the batch under `sealed/`, that a table refers to."""
    return {str(shard).split("/", 1)[0] for shard in table["shard"]}
