"""What a batch has become, to be compared with what it becomes where nothing goes wrong."""

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


def local(store: Store, key: str) -> Path:
    return Path(str(store.path(key)))


def made(store: Store, batch: str = "sample") -> dict[str, str]:
    """SHA-256 of every table and shard of a batch; which other batches have the same bytes does not count."""
    files = {asset: local(store, table_key(asset, batch)).read_bytes() for asset in ASSETS}
    alone = io.BytesIO()
    pl.read_parquet(files["raw_audio"]).drop("also_in").write_parquet(alone)
    files["raw_audio"] = alone.getvalue()
    sealed = local(store, f"sealed/{batch}")
    files |= {str(path.relative_to(sealed)): path.read_bytes() for path in sorted(sealed.rglob("*.tar"))}
    return {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}


def assert_once(store: Store, batch: str = "sample", files: int = 5) -> None:
    """Every file of a batch is one row of raw_audio, every segment one row of the other tables, and no checkpoint is left."""
    tables = {asset: store.read_table(table_key(asset, batch), columns) for asset, columns in ASSETS.items()}
    rows = {asset: table for asset, table in tables.items() if table is not None}
    assert rows.keys() == ASSETS.keys()
    assert rows["raw_audio"]["episode_id"].n_unique() == rows["raw_audio"].height == files
    segments = rows["diarized_segments"]["segment_id"]
    for asset in ("diarized_segments", "transcripts", "quality_scores", "hf_shards"):
        assert sorted(rows[asset]["segment_id"]) == sorted(set(segments)), asset
    for stage in STAGES.values():
        assert not local(store, checkpoints_key(stage, batch)).exists(), stage


def checkpoints(store: Store, stage: str, batch: str = "sample") -> list[Path]:
    """Checkpoints of a stage that are whole, which they are as soon as they have their name."""
    folder = local(store, checkpoints_key(stage, batch))
    return sorted(folder.glob("[!.]*.parquet")) if folder.is_dir() else []


def copied(run: SampleRun, folder: Path) -> Place:
    """A place with a copy of what the sample run has made."""
    shutil.copytree(str(run.store.root), folder / "store")
    return Place(folder)


def shards_told(output: str) -> list[str]:
    """SHA-256 of the shards in what a command printed with --json."""
    return [shard["sha256"] for shard in json.loads(output)["shards"]]
