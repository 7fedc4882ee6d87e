"""A batch of 500 short files, of which 5 are broken: each is named with its stage and reason, and the others are done."""

import json
import random
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile

from podcast_assets.audio.decode import decode
from podcast_assets.store.commits import CommittedTable
from podcast_assets.store.schema import ASSETS
from podcast_assets.store.store import table_key
from podcast_assets_tests.conftest import Place
from podcast_assets_tests.faults.made import assert_once
from podcast_assets_tests.miniature import BATCH

pytestmark = pytest.mark.faults

FILES = 500
BROKEN = 5
SPOKEN_EVERY = 50
"""Every so many whole files have speech in them; the others are sounds without speech, which cost the models no time."""
RATE = 16_000


def lay_out(folder: Path) -> dict[str, str]:
    """The files of the batch, all different; gives the broken ones with a word of what is wrong."""
    folder.mkdir()
    speech = decode(BATCH / "night-science.mp3", rate=RATE)
    chance = np.random.default_rng(7)
    reasons: dict[str, str] = {}
    for n in range(FILES):
        name = f"clip-{n:04d}"
        if n % (FILES // BROKEN) == 50:
            kind = len(reasons) % 4
            path = folder / f"{name}{('.flac', '.mp3', '.wav', '.opus')[kind]}"
            if kind == 0:
                whole = folder / "whole.flac"
                soundfile.write(whole, chance.normal(0, 0.1, RATE), RATE)
                path.write_bytes(whole.read_bytes()[:-4000])
                whole.unlink()
            else:
                path.write_bytes(
                    (b"", random.Random(n).randbytes(5000), b"this is a text\n" * 50 + bytes([n % 256]))[kind - 1]
                )
            reasons[path.name] = ("truncated", "empty file", "not", "not")[kind]
            continue
        if n % SPOKEN_EVERY == 1:
            start = (n // SPOKEN_EVERY * 20_011) % (len(speech) - 2 * RATE)
            samples = speech[start : start + 2 * RATE]
        else:
            tone = np.sin(2 * np.pi * (200 + n) * np.arange(RATE) / RATE)
            samples = (0.1 * tone).astype(np.float32)
        soundfile.write(folder / f"{name}.wav", samples, RATE)
    return reasons


def test_five_of_five_hundred_are_broken(place: Place) -> None:
    reasons = lay_out(place.folder / "clips")
    assert len(reasons) == BROKEN
    result = place.command(
        "run", "clips", "--batch", "many", "--profile", "demo", "--language", "en", "--json", PODCAST_SETTLE_SECONDS="0"
    )
    assert result.returncode == 0, result.stderr[-3000:]
    report = json.loads(result.stdout)
    status = pl.DataFrame(
        [{k: e[k] for k in ("source", "status", "error")} for e in report["episodes"]], infer_schema_length=None
    )
    assert dict(status["status"].value_counts().iter_rows()) == {"done": FILES - BROKEN, "failed": BROKEN}
    failures = CommittedTable.read(place.store, "raw_audio", "many").failures
    assert failures["stage"].unique().to_list() == ["ingest"]
    told = dict(failures.select("source", "message").iter_rows())
    assert told.keys() == reasons.keys()
    for name, word in reasons.items():
        assert word in told[name], (name, told[name])
        assert name in result.stderr
    for stage, seconds in report["seconds"].items():
        print(f"{stage}: {seconds:.1f} s, {seconds / FILES * 1000:.1f} ms per episode")
    assert_once(place.store, "many", files=FILES)
    words = place.store.read_table(table_key("transcripts", "many"), ASSETS["transcripts"])
    assert words is not None
    assert words["episode_id"].n_unique() > FILES / SPOKEN_EVERY / 2, "speech was found in most of what has some"
