"""Selection of sealed samples for a release, as parts with digests and byte ranges. No I/O."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import polars as pl

from podcast_assets.release.content_flags import EXCLUDED
from podcast_assets.release.plan import WantedPart
from podcast_assets.release.published import Part
from podcast_assets.shards.ustar import TAR_BLOCK
from podcast_assets.store.store import sealed_key

Publish = Literal["all", "kept"]

NOT_KEPT = "not_kept"
"""Reason of segments that the policy does not keep, if only kept ones are released."""
UNKNOWN = "not_known"
"""Reason of segments whose episode has no clearance."""


@dataclass(frozen=True)
class SealedPart:
    """The selected members of a sealed shard, as byte ranges."""

    batch: str
    shard: str
    """Path under `sealed/<batch>/`, with the folder of its version."""
    sha256: str
    """Hash of the whole sealed shard."""
    ranges: tuple[tuple[int, int], ...]
    """Half-open byte range of each run of samples, in order."""
    whole: bool
    """Whether every sample of the shard is selected."""

    @property
    def key(self) -> str:
        """Key of the sealed shard in the store."""
        return sealed_key(self.batch, self.shard)


def index_samples(table: pl.DataFrame, batch: str) -> pl.DataFrame:
    """Sort the rows of a batch's table in tar order and add each sample's position: `from_byte` up to `to_byte`.

    A sample is its JSON member and its audio member after it, headers and padding included.
    `part` is the shard without the folder of its version.
    """
    return table.sort("shard", "audio_offset", maintain_order=True).with_columns(
        batch=pl.lit(batch),
        part=pl.col("shard").str.split("/").list.slice(1).list.join("/"),
        from_byte=pl.col("json_offset") - TAR_BLOCK,
        to_byte=pl.col("audio_offset") + (pl.col("audio_size") + TAR_BLOCK - 1) // TAR_BLOCK * TAR_BLOCK,
    )


def select_samples(
    rows: pl.DataFrame, clearance: pl.DataFrame, publish: Publish, flagged: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Add the columns `selected` (whether a sample is released) and `reason` (why not) to rows of `index_samples`.

    `license` is replaced by that of the clearance, which reflects the publisher's latest statement.

    Args:
        rows: rows of `index_samples`, of any batches.
        clearance: batch, episode_id, cleared, reason, license.
        publish: `kept` omits what the policy does not keep; rows without a policy (whole episodes) count as kept.
        flagged: what rules about content flags leave out: batch, segment_id (of whole episodes: episode_id), and reason.
    """
    cleared = clearance.select("batch", "episode_id", "cleared", "reason", "license")
    joined = (
        rows.drop("license")
        .join(cleared, on=["batch", "episode_id"], how="left", maintain_order="left")
        .with_columns(pl.col("cleared").fill_null(False))
    )
    joined = _add_flagged(joined, flagged)
    excluded = ~pl.col("keep").fill_null(False) if publish == "kept" and "keep" in rows.columns else pl.lit(False)
    return joined.with_columns(
        selected=pl.col("cleared") & ~excluded & pl.col("flagged").is_null(),
        reason=pl.when(~pl.col("cleared"))
        .then(pl.col("reason").fill_null(UNKNOWN))
        .when(excluded)
        .then(pl.lit(NOT_KEPT))
        .otherwise("flagged"),
    ).select(*rows.columns, "selected", "reason")


def _add_flagged(rows: pl.DataFrame, flagged: pl.DataFrame | None) -> pl.DataFrame:
    """Add the column `flagged`: why a rule about content flags leaves a sample out; null where none does."""
    if flagged is None:
        return rows.with_columns(flagged=pl.lit(None, pl.String))
    key = "segment_id" if "segment_id" in flagged.columns else "episode_id"
    reasons = flagged.select("batch", key, flagged="reason")
    return rows.join(reasons, on=["batch", key], how="left", maintain_order="left")


def wanted_parts(rows: pl.DataFrame) -> list[WantedPart]:
    """Group selected rows into parts."""
    found = []
    for (batch, shard), members in _by_part(rows.filter("selected")):
        part = Part(
            batch, shard, members_digest(members.select("json_sha256", "audio_sha256").iter_rows()), members.height
        )
        found.append(WantedPart(part, int((members["to_byte"] - members["from_byte"]).sum())))
    return found


def sealed_parts(rows: pl.DataFrame) -> dict[tuple[str, str], SealedPart]:
    """(batch, part) → byte ranges of its selected members, for parts that have any."""
    found = {}
    for (batch, shard), members in _by_part(rows):
        chosen = members.filter("selected")
        if chosen.height:
            ranges = tuple(_merge_spans(chosen.select("from_byte", "to_byte").iter_rows()))
            sealed, sha256 = members.select("shard", "shard_sha256").row(0)
            found[batch, shard] = SealedPart(batch, sealed, sha256, ranges, chosen.height == members.height)
    return found


def members_digest(hashes: Iterable[tuple[str, str]]) -> str:
    """SHA-256 over the ordered (json_sha256, audio_sha256) of members."""
    whole = hashlib.sha256()
    for json_sha256, audio_sha256 in hashes:
        whole.update(f"{json_sha256} {audio_sha256}\n".encode())
    return whole.hexdigest()


def count_not_released(rows: pl.DataFrame, clearance: pl.DataFrame) -> pl.DataFrame:
    """Count episodes and hours that are not released by reason: reason, episodes, hours; by decreasing hours.

    Args:
        rows: rows of `select_samples`.
        clearance: result of `decide_clearance`; episodes that are not cleared count with all of their audio.
    """
    refused = clearance.filter(~pl.col("cleared")).select("reason", "episode_id", "hours")
    left_out = (pl.col("reason") == NOT_KEPT) | pl.col("reason").str.starts_with(EXCLUDED)
    not_kept = rows.filter(left_out).select("reason", "episode_id", hours=pl.col("duration") / 3600)
    return (
        pl.concat([refused, not_kept])
        .group_by("reason")
        .agg(episodes=pl.col("episode_id").n_unique().cast(pl.Int64), hours=pl.col("hours").sum())
        .sort("hours", "reason", descending=[True, False])
    )


def _by_part(rows: pl.DataFrame) -> Iterable[tuple[tuple[str, str], pl.DataFrame]]:
    groups = rows.partition_by("batch", "part", as_dict=True, maintain_order=True)
    return (((str(batch), str(part)), members) for (batch, part), members in sorted(groups.items()))


def _merge_spans(spans: Iterable[tuple[int, int]]) -> Iterable[tuple[int, int]]:
    """Merge adjacent spans, which are in order."""
    begin, end = -1, -1
    for start, stop in spans:
        if start != end:
            if end > begin:
                yield begin, end
            begin = start
        end = stop
    if end > begin:
        yield begin, end
