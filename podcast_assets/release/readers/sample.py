"""Random samples of a published dataset, read by byte ranges instead of whole shards."""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from podcast_assets.common.errors import BadInput, Misconfigured
from podcast_assets.release.published import SEGMENTS
from podcast_assets.release.readers.published_dataset import PublishedDataset, SampleIndex, read_shard_list

COLUMNS = (
    "segment_id episode_id podcast_id split language speaker start end duration text sample_rate license keep reject_reasons "
    "policy dnsmos_ovrl dnsmos_sig dnsmos_bak snr_db loudness_lufs source_bandwidth_hz audio_offset audio_size audio_sha256"
).split()


@dataclass(frozen=True)
class AudioSample:
    """A sample: its metadata and its encoded audio."""

    row: dict[str, Any]
    """Metadata, with the keys of COLUMNS that the tables have."""
    audio: bytes
    suffix: str
    """File suffix of the audio, without the dot."""


def draw_samples(
    dataset: PublishedDataset,
    count: int,
    *,
    language: str | None = None,
    split: str | None = None,
    seed: int | None = None,
) -> Iterator[AudioSample]:
    """Draw samples uniformly at random.

    Args:
        dataset: dataset to draw from.
        count: number of samples; all of them if there are fewer.
        language: draw only samples in this language.
        split: draw only samples of this split.
        seed: seed of the random choice.

    Raises:
        Misconfigured: the dataset has no such samples.
        BadInput: a shard or table is damaged.
    """
    available = [s for s in read_shard_list(dataset) if s.grain == SEGMENTS and s.samples]
    shards = [s for s in available if language in (None, s.language) and split in (None, s.split)]
    if not shards:
        kinds = ", ".join(sorted({f"{s.language} {s.split}" for s in available})) or "none"
        filters = " ".join(filter(None, (language, split)))
        raise Misconfigured(f"{dataset.where} has no samples{filters and f' of {filters}'}; it has: {kinds}")
    rng = random.Random(seed)  # noqa: S311
    total = sum(s.samples for s in shards)
    chosen = sorted(rng.sample(range(total), min(count, total)))
    first = 0
    for shard in shards:
        indices = [n - first for n in chosen if first <= n < first + shard.samples]
        first += shard.samples
        if not indices:
            continue
        tables = sorted({f"metadata/{shard.language}/{part.batch}.parquet" for part in shard.parts})
        index = SampleIndex(dataset, tables)
        rows = index.rows(shard.path, COLUMNS)
        if index.unreadable or rows.height != shard.samples:
            why = (
                "; ".join(f"{path}: {why}" for path, why in index.unreadable.items())
                or f"its tables have {rows.height} rows of {shard.path}, which has {shard.samples} samples"
            )
            raise BadInput(f"{dataset.where} is damaged: {why}")
        rows = rows.sort("audio_offset")
        with dataset.seekable(shard.path) as file:
            for row in rows[indices].iter_rows(named=True):
                yield _read_sample(file, row, shard.path)


def _read_sample(file: Any, row: dict[str, Any], shard: str) -> AudioSample:
    file.seek(row["audio_offset"] - 512)
    data = file.read(512 + row["audio_size"])
    name, audio = data[:100].rstrip(b"\0").decode(errors="replace"), data[512:]
    if hashlib.sha256(audio).hexdigest() != row["audio_sha256"]:
        raise BadInput(
            f"{shard}: {row['segment_id']} is damaged; run `podcast-assets dataset verify` to find all damaged samples"
        )
    return AudioSample(row, audio, PurePosixPath(name).suffix.removeprefix("."))
