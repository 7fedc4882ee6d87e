"""Codec of the samples of a release, read from the shards, as settings may have changed since they were sealed."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath

import polars as pl
from huggingface_hub import DatasetCard

from podcast_assets.common.errors import BadInput
from podcast_assets.release.readers.features import columns
from podcast_assets.shards.ustar import TAR_BLOCK, BrokenTar, read_header
from podcast_assets.store.store import STORE_READERS, Store, sealed_key


def sealed_codecs(store: Store, *grains: pl.DataFrame) -> dict[str, set[str]]:
    """Suffix of audio members without the dot → batches with it, by the first selected sample of each sealed folder.

    Missing and damaged shards are skipped here and reported when they are copied.

    Args:
        store: store with the shards.
        grains: rows of `selection.select_samples`.
    """
    firsts = [
        rows.filter("selected")
        .with_columns(version=pl.col("shard").str.split("/").list.first())
        .unique(["batch", "version"], keep="first", maintain_order=True)
        .select("batch", "shard", "audio_offset")
        for rows in grains
    ]

    def read(batch: str, shard: str, offset: int) -> tuple[str, str] | None:
        try:
            with store.open(sealed_key(batch, shard)) as file:
                name = read_header(file, offset - TAR_BLOCK).name
        except (FileNotFoundError, BrokenTar):
            return None
        return PurePosixPath(name).suffix.removeprefix("."), batch

    found: dict[str, set[str]] = {}
    with ThreadPoolExecutor(STORE_READERS) as readers:
        for codec_and_batch in readers.map(lambda row: read(*row), pl.concat(firsts).iter_rows()):
            if codec_and_batch:
                codec, codec_batch = codec_and_batch
                found.setdefault(codec, set()).add(codec_batch)
    return found


def declared_codec(card: bytes) -> str | None:
    """Codec that a dataset card declares; None if it declares none or several."""
    info = DatasetCard(card.decode()).data.to_dict().get("dataset_info")
    infos = info if isinstance(info, list) else [info] if info else []
    names = {feature["name"] for info in infos for feature in info.get("features", [])} - columns("").keys()
    return names.pop() if len(names) == 1 else None


def require_one_codec(sealed: dict[str, set[str]], published: str | None, where: str) -> str | None:
    """The only codec of a dataset; None without samples.

    Args:
        sealed: result of `sealed_codecs`.
        published: codec of samples that stay although the store does not have them.
        where: displayed name of the dataset.

    Raises:
        BadInput: there are several codecs; readers select the audio by one name.
    """
    found = sealed | ({published: sealed.get(published, set()) | {"what is published"}} if published else {})
    if len(found) > 1:
        named = "; ".join(f"{codec}: {_list_batches(batches)}" for codec, batches in sorted(found.items()))
        raise BadInput(
            f"{where}: all samples of a dataset must have the same codec, but there are several ({named}). Materialize hf_shards, "
            "and episode_shards where it exists, of the others again with one PODCAST_SHARD_CODEC, or release them elsewhere. "
            "Nothing was published"
        )
    return next(iter(found), None)


def _list_batches(batches: Iterable[str]) -> str:
    names = sorted(batches)
    return f"{', '.join(names[:5])}{f' and {len(names) - 5} more' if len(names) > 5 else ''}"
