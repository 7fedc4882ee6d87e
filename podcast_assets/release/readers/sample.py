"""Random samples of a published dataset, read by byte ranges instead of whole shards."""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from podcast_assets.common.errors import BadInput, Misconfigured
from podcast_assets.release.published import SEGMENTS
from podcast_assets.release.readers.opened import PublishedDataset, SampleIndex, read_shard_list

COLUMNS = (
    "segment_id episode_id podcast_id split language speaker start end duration text sample_rate license keep reject_reasons "
    "policy dnsmos_ovrl dnsmos_sig dnsmos_bak snr_db loudness_lufs source_bandwidth_hz audio_offset audio_size audio_sha256"
).split()


@dataclass(frozen=True)
class AudioSample:
    """A sample with its row and the bytes of its audio file."""

    row: dict[str, Any]
    audio: bytes
    suffix: str
    """Of the audio, without the dot."""


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
        dataset: in a folder or on the Hub.
        count: how many, or as many as there are.
        language: only of this one.
        split: only of this one.
        seed: the same gives the same samples.

    Raises:
        Misconfigured: there are none.
        BadInput: what lies where the table says is not the sample.
    """
    there = [s for s in read_shard_list(dataset) if s.grain == SEGMENTS and s.samples]
    shards = [s for s in there if language in (None, s.language) and split in (None, s.split)]
    if not shards:
        kinds = ", ".join(sorted({f"{s.language} {s.split}" for s in there})) or "none"
        asked = " ".join(filter(None, (language, split)))
        raise Misconfigured(f"{dataset.where} has no samples{asked and f' of {asked}'}; it has: {kinds}")
    chance = random.Random(seed)  # noqa: S311
    total = sum(s.samples for s in shards)
    wanted = sorted(chance.sample(range(total), min(count, total)))
    first = 0
    for shard in shards:
        places = [n - first for n in wanted if first <= n < first + shard.samples]
        first += shard.samples
        if not places:
            continue
        tables = sorted({f"metadata/{shard.language}/{part.batch}.parquet" for part in shard.parts})
        index = SampleIndex(dataset, tables)
        rows = index.rows(shard.path, COLUMNS)
        if index.unreadable or rows.is_empty():
            why = (
                "; ".join(f"{path}: {why}" for path, why in index.unreadable.items())
                or f"no table speaks of {shard.path}"
            )
            raise BadInput(f"{dataset.where} is damaged: {why}")
        rows = rows.sort("audio_offset")
        with dataset.seekable(shard.path) as file:
            for row in rows[[p for p in places if p < rows.height]].iter_rows(named=True):
                yield _read_sample(file, row, shard.path)


def _read_sample(file: Any, row: dict[str, Any], shard: str) -> AudioSample:
    file.seek(row["audio_offset"] - 512)
    data = file.read(512 + row["audio_size"])
    name, audio = data[:100].rstrip(b"\0").decode(errors="replace"), data[512:]
    if hashlib.sha256(audio).hexdigest() != row["audio_sha256"]:
        raise BadInput(f"{shard}: {row['segment_id']} is damaged; `podcast-assets dataset verify` tells what else is")
    return AudioSample(row, audio, PurePosixPath(name).suffix.removeprefix("."))
