"""A dataset on the Hub, loaded as its card says: every piece of code, by the real clients, from a double of the Hub."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from podcast_assets.release.targets.hub import HubTarget
from podcast_assets_tests.doubles.hub import TOKEN, HubDouble
from podcast_assets_tests.release.published import publish_to

pytestmark = pytest.mark.readers

REPO = "tester/some-talk"
ENDING = """
import hashlib, json
print(json.dumps({
    "streamed": streamed,
    "rows": len(segments),
    "texts": sorted(s["json"]["text"] for s in segments),
    "shards": len(shards),
    "sampled": sorted(texts),
    "right": hashlib.sha256(audio).hexdigest() == row["audio_sha256"],
    "hours": sum(h for *_, h in hours.fetchall()),
    "manifests": sum(len(p.read_text().splitlines()) for p in manifests.glob("*.json")),
}))
"""


def test_the_card_of_the_hub_runs(hub: HubDouble, tmp_path: Path) -> None:
    publish_to(HubTarget(REPO, endpoint=hub.url, token=TOKEN), tmp_path / "store")
    card = hub.files(REPO)["README.md"].decode()
    pieces = re.findall(r"^```python\n(.*?)^```", card, flags=re.MULTILINE | re.DOTALL)
    assert all(REPO in p for p in pieces if "load_dataset(" in p or "snapshot_download" in p)
    ran = [p for p in pieces if "get_all_samples" not in p and "lhotse" not in p]
    code = "\n".join(
        [*ran, "texts = [json.loads(s['json'])['text'] for s in webdataset.WebDataset(shards, shardshuffle=False)]"]
    )
    code += (
        f"\nstreamed = sum(1 for _ in load_dataset({REPO!r}, 'en', split='train', features=features, streaming=True))\n"
    )
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "PODCAST_"))}
    result = subprocess.run(
        [sys.executable, "-c", code + ENDING],
        env=clean | {"HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, "HF_HOME": str(tmp_path / "home")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout.splitlines()[-1])
    assert told["rows"] == told["streamed"] == told["manifests"] == 27
    assert told["texts"] == told["sampled"]
    assert told["shards"] == 7
    assert told["right"]
    assert told["hours"] == pytest.approx(33 / 3600), "of the language that was downloaded"
