"""From the tables of a batch to its sealed shards and back: what goes into a sample, and where every sample lies."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from podcast_assets.dataset.shards import Placed, Sample, Sealed, read_back, seal, split_of
from podcast_assets.dataset.thinning import content_sealed
from podcast_assets.fingerprint import fingerprint
from podcast_assets.schema import HF_SHARDS, schema
from podcast_assets.store import Store, sealed_key

UNKNOWN_LANGUAGE = "und"
"""ISO 639-2 code for a language that is not known."""

_PLACE = ("segment_id", "shard", "shard_sha256", "audio_offset", "audio_size", "audio_sha256", "json_sha256")


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
            transcripts.drop("episode_id", "segment_index", "engine", "fingerprint"),
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
class Encoded:
    """The encoded members of an episode's segments, in order."""

    segments: pl.DataFrame
    """Columns segment_id, sample_rate (Hz), json, audio."""
    fingerprint: str


def seal_batch(
    store: Store,
    batch: str,
    version: str,
    content: pl.DataFrame,
    encoded: Iterator[Encoded],
    *,
    suffix: str,
    shard_bytes: int,
) -> pl.DataFrame:
    """Seal a batch's samples under `sealed/<batch>/<version>/`; gives the place, rate and fingerprint of each.

    Args:
        store: where to.
        batch: the batch.
        version: names this content; other content goes into another folder, so that a committed table never speaks of other shards.
        content: of `sample_content`.
        encoded: the members, episode by episode; taken one at a time.
        suffix: of the audio members, without the dot.
        shard_bytes: a shard is closed when it has reached this size.
    """
    groups = {
        key: f"data/{language}/{split}"
        for key, language, split in content.select("segment_id", "language", "split").iter_rows()
    }
    made: list[pl.DataFrame] = []

    def samples() -> Iterator[Sample]:
        for episode in encoded:
            made.append(episode.segments.select("segment_id", "sample_rate", fingerprint=pl.lit(episode.fingerprint)))
            for key, note, audio in episode.segments.select("segment_id", "json", "audio").iter_rows():
                yield Sample(key, groups[key], note, audio, suffix)

    sealed = seal(store, sealed_key(batch, version), samples(), shard_bytes=shard_bytes)
    if not made:
        return pl.DataFrame(
            schema={k: v for k, v in schema(HF_SHARDS).items() if k in (*_PLACE, "sample_rate", "fingerprint")}
        )
    return _places(sealed, version).join(pl.concat(made), on="segment_id", how="left", maintain_order="left")


def _places(sealed: Sealed, version: str) -> pl.DataFrame:
    hashes = {s.path: s.sha256 for s in sealed.shards}
    rows = [
        (p.key, f"{version}/{p.shard}", hashes[p.shard], p.audio_offset, p.audio_size, p.audio_sha256, p.json_sha256)
        for p in sealed.placed
    ]
    types = schema(HF_SHARDS)
    return pl.DataFrame(rows, schema={k: types[k] for k in _PLACE}, orient="row")


def shards_table(places: pl.DataFrame, content: pl.DataFrame, scores: pl.DataFrame) -> pl.DataFrame:
    """The table of `hf_shards`: places, content and scores of every sealed sample, in the order of the shards."""
    judged = scores.drop("episode_id", "segment_index", "engine", "degraded", "fingerprint")
    return (
        places.join(content, on="segment_id", how="left", maintain_order="left")
        .join(judged, on="segment_id", how="left", maintain_order="left")
        .select(schema(HF_SHARDS).names())
        .cast(schema(HF_SHARDS))  # type: ignore[arg-type]
    )


def content_version(fingerprints: Mapping[str, str], content: pl.DataFrame, shard_bytes: int) -> str:
    """Names what is sealed: the episodes that are in the shards with their fingerprints, their groups, and the shards' size."""
    groups = content.filter(pl.col("episode_id").is_in(list(fingerprints))).select("language", "split").rows()
    return fingerprint(episodes=fingerprints, groups=groups, shard_bytes=shard_bytes)[:12]


def sealed_before(
    store: Store, batch: str, version: str, content: pl.DataFrame, table: pl.DataFrame | None
) -> pl.DataFrame | None:
    """Places of a batch that was sealed with this very content and still lies there unharmed; else None."""
    if table is None or set(table["segment_id"]) != set(content["segment_id"]):
        return None
    if content_sealed(store, "data", batch, table) != version or wrong_shards(store, batch, table):
        return None
    return table.select(*_PLACE, "sample_rate", "fingerprint")


def wrong_shards(store: Store, batch: str, table: pl.DataFrame) -> list[str]:
    """What is wrong with the shards in the store, read back whole, by the table that speaks of them; empty when all is well."""
    troubles = []
    for (path,), rows in table.partition_by("shard", as_dict=True).items():
        trouble = _wrong_shard(store, f"sealed/{batch}/{path}", rows)
        if trouble:
            troubles.append(f"{path}: {trouble}")
    return troubles


def _wrong_shard(store: Store, key: str, rows: pl.DataFrame) -> str | None:
    if not store.exists(key):
        return "it is gone"
    try:
        with store.local_copy(key) as path, path.open("rb") as f:
            digest, found = read_back(f)
    except ValueError as error:
        return str(error)
    expected = [
        Placed(k, "", *rest)
        for k, *rest in rows.select(
            "segment_id", "audio_offset", "audio_size", "audio_sha256", "json_sha256"
        ).iter_rows()
    ]
    if digest != rows["shard_sha256"][0]:
        return f"its sha256 is {digest[:12]}…, the table says {rows['shard_sha256'][0][:12]}…"
    if found != expected:
        return f"it holds {len(found)} samples that are not those of the table ({len(expected)})"
    return None


def remove_other_versions(store: Store, batch: str, kept: Sequence[str]) -> None:
    """Remove sealed folders of a batch that its committed table does not speak of any more."""
    for version in store.names(f"sealed/{batch}").difference(kept):
        store.remove(f"sealed/{batch}/{version}")


def shard_list(table: pl.DataFrame) -> pl.DataFrame:
    """One row per shard of a batch: shard, sha256, samples, hours."""
    return table.group_by("shard", maintain_order=True).agg(
        sha256=pl.col("shard_sha256").first(), samples=pl.len(), hours=pl.col("duration").sum() / 3600
    )
