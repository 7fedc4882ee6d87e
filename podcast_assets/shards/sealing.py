"""Sealing of a batch: content of the samples, their shards, and their positions."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from podcast_assets.common.fingerprint import fingerprint
from podcast_assets.shards.members import MembersReader
from podcast_assets.shards.tar_shards import (
    Sample,
    SamplePlacement,
    SealedShards,
    read_pieces,
    read_shard,
    shuffle_key,
    split_of,
    write_shards,
)
from podcast_assets.shards.thinning import sealed_content
from podcast_assets.store.schema import EPISODE_SHARDS, HF_SHARDS, Columns, schema
from podcast_assets.store.store import Store, sealed_key

UNKNOWN_LANGUAGE = "und"
"""ISO 639-2 code for a language that is not known."""

_PLACE = (
    "shard",
    "shard_sha256",
    "json_offset",
    "json_size",
    "json_sha256",
    "audio_offset",
    "audio_size",
    "audio_sha256",
)
_FORM = ("sample_rate", "channels", "fingerprint")


@dataclass(frozen=True)
class Grain:
    """Kind of sample: a segment or a whole episode."""

    key: str
    """Column that holds the sample's key."""
    folder: str
    """Folder of the shards below their version."""
    columns: Columns
    """Columns of the table."""

    def group(self, language: str, split: str) -> str:
        """Folder of the shards of a language and a split."""
        return f"{self.folder}/{language}/{split}"


SEGMENTS = Grain("segment_id", "data", HF_SHARDS)
EPISODES = Grain("episode_id", "episode_data", EPISODE_SHARDS)


def sample_content(raw_audio: pl.DataFrame, segments: pl.DataFrame, transcripts: pl.DataFrame) -> pl.DataFrame:
    """One row per transcribed segment with all that its JSON member says, and the split it belongs to."""
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


def seal_batch(
    store: Store,
    batch: str,
    version: str,
    content: pl.DataFrame,
    encoded: Sequence[EncodedEpisode],
    *,
    suffix: str,
    shard_bytes: int,
) -> pl.DataFrame:
    """Seal a batch's segments, shuffled, under `sealed/<batch>/<version>/`; return place, form and fingerprint of each.

    The order depends on the samples' keys alone. Memory holds one sample and an index of all, whatever the order: the
    episodes' files are read where they lie in a local store, and are copied to this machine from a bucket.

    Args:
        store: store to write to.
        batch: the batch.
        version: hash of this content; each content has its own folder, so that a committed table always matches its shards.
        content: result of `sample_content`.
        encoded: the members of each episode.
        suffix: of the audio members, without the dot.
        shard_bytes: a shard is closed when it has reached this size.
    """
    members = _in_order(
        SEGMENTS,
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
    return _placement_table(SEGMENTS, sealed, version, members)


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
    """Seal whole episodes, as `seal_batch` does segments; `content` is that of `episode_content`.

    Audio goes through memory in small pieces.
    """
    files = {str(e.rows["episode_id"][0]): e.file for e in encoded}
    members = _in_order(
        EPISODES, content, [e.rows.select(pl.all(), fingerprint=pl.lit(e.fingerprint)) for e in encoded]
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
    return _placement_table(EPISODES, sealed, version, members)


def _in_order(grain: Grain, content: pl.DataFrame, rows: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The rows of all episodes with the group of each, group by group and shuffled inside each."""
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
            place=pl.Series([shuffle_key(k) for k in keys], dtype=pl.Binary),
        )
        .sort("group", "place")
        .drop("place")
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
    places = pl.DataFrame(rows, schema={k: types[k] for k in (grain.key, *_PLACE)}, orient="row")
    return places.join(members.select(grain.key, *_FORM), on=grain.key, how="left", maintain_order="left")


def shards_table(places: pl.DataFrame, content: pl.DataFrame, scores: pl.DataFrame) -> pl.DataFrame:
    """The table of `hf_shards`: places, content and scores of every sealed sample, in the order of the shards."""
    judged = scores.drop("episode_id", "segment_index", "engine", "degraded", "fingerprint")
    return (
        places.join(content, on="segment_id", how="left", maintain_order="left")
        .join(judged, on="segment_id", how="left", maintain_order="left")
        .select(schema(HF_SHARDS).names())
        .cast(schema(HF_SHARDS))  # type: ignore[arg-type]
    )


def episodes_table(places: pl.DataFrame, content: pl.DataFrame) -> pl.DataFrame:
    """The table `episode_shards`: place and facts of every sealed episode, in the order of the shards."""
    return (
        places.join(content, on="episode_id", how="left", maintain_order="left")
        .select(schema(EPISODE_SHARDS).names())
        .cast(schema(EPISODE_SHARDS))  # type: ignore[arg-type]
    )


def content_version(
    fingerprints: Mapping[str, str], content: pl.DataFrame, shard_bytes: int, grain: Grain = SEGMENTS
) -> str:
    """Hash of the sealed content: episodes with their fingerprints, their groups, and the shard size."""
    groups = content.filter(pl.col("episode_id").is_in(list(fingerprints))).select("language", "split").rows()
    return fingerprint(grain=grain.folder, episodes=fingerprints, groups=groups, shard_bytes=shard_bytes)[:12]


def find_sealed(
    store: Store,
    batch: str,
    version: str,
    content: pl.DataFrame,
    table: pl.DataFrame | None,
    grain: Grain = SEGMENTS,
) -> pl.DataFrame | None:
    """Placements of a batch already sealed with this content, if its shards are undamaged; else None."""
    if table is None or set(table[grain.key]) != set(content[grain.key]):
        return None
    if sealed_content(store, grain.folder, batch, table) != version or find_damaged_shards(store, batch, table, grain):
        return None
    return table.select(grain.key, *_PLACE, *_FORM)


def find_damaged_shards(store: Store, batch: str, table: pl.DataFrame, grain: Grain = SEGMENTS) -> list[str]:
    """Verify all shards of a table by reading them; return the errors, empty if there are none."""
    troubles = []
    for (path,), rows in table.partition_by("shard", as_dict=True).items():
        trouble = _wrong_shard(store, f"sealed/{batch}/{path}", rows.select(grain.key, *_PLACE))
        if trouble:
            troubles.append(f"{path}: {trouble}")
    return troubles


def _wrong_shard(store: Store, key: str, rows: pl.DataFrame) -> str | None:
    if not store.exists(key):
        return "it is gone"
    try:
        with store.local_copy(key) as path, path.open("rb") as f:
            digest, found = read_shard(f)
    except ValueError as error:
        return str(error)
    expected = [SamplePlacement(k, "", *rest) for k, *rest in rows.drop("shard", "shard_sha256").iter_rows()]
    if digest != rows["shard_sha256"][0]:
        return f"its sha256 is {digest[:12]}…, the table says {rows['shard_sha256'][0][:12]}…"
    if found != expected:
        return f"it holds {len(found)} samples that are not those of the table ({len(expected)})"
    return None


def remove_other_versions(store: Store, batch: str, kept: Sequence[str]) -> None:
    """Remove sealed folders of a batch that its committed tables no longer refer to."""
    for version in store.names(f"sealed/{batch}").difference(kept):
        store.remove(f"sealed/{batch}/{version}")


def shard_list(table: pl.DataFrame) -> pl.DataFrame:
    """One row per shard of a batch: shard, sha256, samples, hours."""
    return table.group_by("shard", maintain_order=True).agg(
        sha256=pl.col("shard_sha256").first(), samples=pl.len(), hours=pl.col("duration").sum() / 3600
    )


def sealed_versions(table: pl.DataFrame) -> set[str]:
    """Sealed folders of a batch that a table refers to."""
    return {str(shard).split("/", 1)[0] for shard in table["shard"]}
