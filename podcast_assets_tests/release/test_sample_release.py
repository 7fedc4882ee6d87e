"""The sample batch released by the real command: into a folder, and to a double of the Hub over Xet."""

import json
import subprocess
from pathlib import Path

import polars as pl
import pytest

from podcast_assets.demo import BATCH_NAME
from podcast_assets.store.schema import HF_SHARDS
from podcast_assets.store.store import table_key
from podcast_assets_tests import forked
from podcast_assets_tests.conftest import Place
from podcast_assets_tests.doubles.hub import TOKEN, running_hub

pytestmark = pytest.mark.release


def test_the_sample_batch_is_released_to_a_folder_and_to_the_hub(sample_copy: Place, tmp_path: Path) -> None:
    place, folder = sample_copy, tmp_path / "talk"

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        environment = place.environment(PODCAST_RELEASE_FOLDER=str(folder))
        return forked.command(*arguments, environment=environment, cwd=tmp_path)

    sealed = place.store.read_table(table_key("hf_shards", BATCH_NAME), HF_SHARDS)
    assert sealed is not None

    would = run("release", "--dry-run", "--json")
    assert would.returncode == 0, would.stderr
    assert not folder.exists()

    first = place.command("release", "--json", PODCAST_RELEASE_FOLDER=str(folder))
    assert first.returncode == 0, first.stderr
    told = json.loads(first.stdout)
    assert told["changed"] and told["new"] == json.loads(would.stdout)["new"]
    assert told["totals"]["segments"]["samples"] == sealed.height
    metadata = pl.concat(pl.read_parquet(p) for p in folder.glob("metadata/*/*.parquet"))
    assert sorted(metadata["audio_sha256"]) == sorted(sealed["audio_sha256"])
    assert "CC0-1.0" in (folder / "README.md").read_text()

    verified = run("dataset", "verify", folder)
    assert verified.returncode == 0, verified.stdout + verified.stderr

    again = run("release")
    assert again.returncode == 0 and "nothing has changed" in again.stderr

    with running_hub(tmp_path / "hub", xet=True) as hub:
        hub_settings = {
            "PODCAST_HUB_REPO": "tester/talk",
            "HF_ENDPOINT": hub.url,
            "HF_TOKEN": TOKEN,
            "HF_HUB_OFFLINE": "0",
            "HF_HOME": str(tmp_path / "hf"),
        }
        to_hub = place.command("release", **hub_settings)
        assert to_hub.returncode == 0, to_hub.stderr
        assert "r0001" in to_hub.stderr and TOKEN not in to_hub.stderr
        files = hub.files("tester/talk")
    ours = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert {p: d for p, d in files.items() if not p.startswith("README")} == {
        p: d for p, d in ours.items() if not p.startswith("README")
    }
