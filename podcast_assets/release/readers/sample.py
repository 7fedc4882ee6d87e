"""Random samples of a published dataset, read by byte ranges instead of whole shards."""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from podcast_assets.audio.encode import Codec
from podcast_assets.common.errors import Misconfigured, first_line
from podcast_assets.release.published import SEGMENTS, DamagedDataset
from podcast_assets.release.readers.published_dataset import PublishedDataset, read_shard_list
from podcast_assets.release.readers.sample_index import SampleIndex
from podcast_assets.release.validation import Name, Sha256, describe_first_error
from podcast_assets.shards.ustar import TAR_BLOCK

COLUMNS = (
    "segment_id episode_id podcast_id split language speaker start end duration text sample_rate license keep reject_reasons "
    "policy dnsmos_ovrl dnsmos_sig dnsmos_bak snr_db loudness_lufs source_bandwidth_hz audio_offset audio_size audio_sha256"
).split()


_MAX_AUDIO = 256 << 20
"""Largest audio of a sample that is read, bytes: 15 minutes of the largest format, of which segments have seconds."""


class _SampleRow(BaseModel):
    """What is read of a row without asking whether it is there."""

    model_config = ConfigDict(strict=True)

    segment_id: Name
    language: str
    speaker: str | None
    text: str | None
    duration: FiniteFloat
    audio_offset: Annotated[int, Field(ge=TAR_BLOCK, lt=1 << 60)]
    audio_size: Annotated[int, Field(ge=0, le=_MAX_AUDIO)]
    audio_sha256: Sha256


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
        DamagedDataset: the list, a shard or a table is damaged.
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
            raise DamagedDataset(f"{dataset.where} is damaged: {why}")
        chosen_rows = [_check_row(row, shard.path) for row in rows.sort("audio_offset")[indices].iter_rows(named=True)]
        try:
            file = dataset.seekable(shard.path)
        except OSError as error:
            raise DamagedDataset(f"{dataset.where} is damaged: {shard.path}: {first_line(error)}") from error
        with file:
            for row in chosen_rows:
                yield _read_sample(file, row, shard.path)


def _check_row(row: dict[str, Any], shard: str) -> dict[str, Any]:
    try:
        _SampleRow.model_validate(row)
    except ValidationError as error:
        raise DamagedDataset(f"a table has a row of {shard} that is not valid: {describe_first_error(error)}") from None
    return row


def _read_sample(file: Any, row: dict[str, Any], shard: str) -> AudioSample:
    file.seek(row["audio_offset"] - TAR_BLOCK)
    data = file.read(TAR_BLOCK + row["audio_size"])
    name, audio = data[:100].rstrip(b"\0").decode(errors="replace"), data[TAR_BLOCK:]
    suffix = PurePosixPath(name).suffix.removeprefix(".")
    if hashlib.sha256(audio).hexdigest() != row["audio_sha256"] or suffix not in get_args(Codec):
        raise DamagedDataset(
            f"{shard}: {row['segment_id']} is damaged; run `podcast-assets dataset verify` to find all damaged samples"
        )
    return AudioSample(row, audio, suffix)
