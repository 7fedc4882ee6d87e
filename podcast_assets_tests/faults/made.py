"""Results of a batch, to be compared with those of an undisturbed run."""

import hashlib
import io
import json
import shutil
from pathlib import Path

import polars as pl

from podcast_assets.store.schema import ASSETS
from podcast_assets.store.stage_names import STAGES
from podcast_assets.store.store import Store, checkpoints_key, table_key
from podcast_assets_tests.conftest import Place, SampleRun


def local_path(store: Store, key: str) -> Path:
    return Path(str(store.path(key)))


def output_hashes(store: Store, batch: str = "sample") -> dict[str, str]:
    """SHA-256 of every table and shard of a batch, without the column that names other batches with the same bytes."""
    files = {asset: local_path(store, table_key(asset, batch)).read_bytes() for asset in ASSETS}
    alone = io.BytesIO()
    pl.read_parquet(files["raw_audio"]).drop("also_in").write_parquet(alone)
    files["raw_audio"] = alone.getvalue()
    sealed = local_path(store, f"sealed/{batch}")
    files |= {str(path.relative_to(sealed)): path.read_bytes() for path in sorted(sealed.rglob("*.tar"))}
    return {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}


def assert_once(store: Store, batch: str = "sample", files: int = 5) -> None:
    """Assert that every file of a batch is one row of raw_audio, every segment one row of the others, and no checkpoint is left."""
    tables = {asset: store.read_table(table_key(asset, batch), columns) for asset, columns in ASSETS.items()}
    rows = {asset: table for asset, table in tables.items() if table is not None}
    assert rows.keys() == ASSETS.keys()
    assert rows["raw_audio"]["episode_id"].n_unique() == rows["raw_audio"].height == files
    segments = rows["diarized_segments"]["segment_id"]
    for asset in ("diarized_segments", "transcripts", "quality_scores", "hf_shards"):
        assert sorted(rows[asset]["segment_id"]) == sorted(set(segments)), asset
    for stage in STAGES.values():
        assert not local_path(store, checkpoints_key(stage, batch)).exists(), stage


def checkpoints(store: Store, stage: str, batch: str = "sample") -> list[Path]:
    """Complete checkpoints of a stage; a checkpoint gets its name when it is complete."""
    folder = local_path(store, checkpoints_key(stage, batch))
    return sorted(folder.glob("[!.]*.parquet")) if folder.is_dir() else []


def copy_store(run: SampleRun, folder: Path) -> Place:
    """Copy the store of a run to a place of its own."""
    shutil.copytree(str(run.store.root), folder / "store")
    return Place(folder)


def printed_shards(output: str) -> list[str]:
    """SHA-256 of the shards that a command printed with --json."""
    return [shard["sha256"] for shard in json.loads(output)["shards"]]
