"""The sample batch: what the demonstration promises of its own files."""

import io
import tarfile
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import polars as pl
import pytest

from podcast_assets import demo
from podcast_assets.audio.decode import decode
from podcast_assets.audio.errors import TruncatedAudio
from podcast_assets.speech.types import SAMPLE_RATE

EPISODES = {
    "night-science": "mp3",
    "city-music": "m4a",
    "future-food": "mp4",
    "water-history": "opus",
    "morning-team": "mp3",
}
SPEAKERS = {"night-science": 3, "city-music": 2, "future-food": 3, "water-history": 2, "morning-team": 3}


def archive() -> bytes:
    file = io.BytesIO()
    demo.write_sample_archive(file)
    return file.getvalue()


def test_the_archive_holds_five_episodes_and_their_metadata() -> None:
    with tarfile.open(fileobj=io.BytesIO(archive())) as tar:
        names = tar.getnames()
        assert names == sorted([*(f"{stem}.{ext}" for stem, ext in EPISODES.items()), "metadata.parquet"])
        for member in tar.getmembers():
            assert (member.mtime, member.uid, member.gid) == (0, 0, 0)
            extracted = tar.extractfile(member)
            assert extracted is not None
            assert extracted.read() == (demo.BATCH / member.name).read_bytes()
    assert archive() == archive()


def test_metadata_has_one_row_per_episode() -> None:
    metadata = pl.read_parquet(demo.BATCH / "metadata.parquet")
    assert set(metadata["meta_id"]) == set(EPISODES)
    assert metadata["podcast_guid"].n_unique() == metadata["podcast"].n_unique() == 2
    assert metadata["license"].unique().to_list() == ["CC0-1.0"]


def test_the_video_has_pictures() -> None:
    with av.open(str(demo.BATCH / "future-food.mp4")) as container:
        assert len(container.streams.video) == 1
        assert next(container.decode(video=0)).width == 160


def test_the_truncated_file_declares_more_than_it_has() -> None:
    with pytest.raises(TruncatedAudio):
        decode(demo.BATCH / "morning-team.mp3")


@pytest.mark.parametrize("stem", EPISODES)
def test_references_are_consistent(stem: str) -> None:
    turns = demo.load_reference(stem)
    assert {t["speaker"] for t in turns} == {f"SPEAKER_{i:02d}" for i in range(SPEAKERS[stem])}
    overlaps = [before["end"] - after["start"] for before, after in pairwise(turns)]
    assert max(overlaps) < 0.3
    assert any(o > 0.1 for o in overlaps) == (stem in ("night-science", "future-food", "morning-team"))
    for turn in turns:
        times = [t for _, start, end in turn["words"] for t in (start, end)]
        assert times == sorted(times)
        words = [w for w, _, _ in turn["words"]]
        assert " ".join(words) == turn["text"]
        assert (turn["start"], turn["end"]) == (turn["words"][0][1], turn["words"][-1][2])
    rttm = [line.split() for line in (demo.REFERENCES / f"{stem}.rttm").read_text().splitlines()]
    assert [(float(r[3]), r[7]) for r in rttm] == [(t["start"], t["speaker"]) for t in turns]


def test_two_episodes_have_the_same_advertisement() -> None:
    spoken = [
        next(t for t in demo.load_reference(e) if "Bakery" in t["text"]) for e in ("night-science", "future-food")
    ]
    audio = [
        decode(demo.BATCH / f)[round(t["start"] * SAMPLE_RATE) :][: 7 * SAMPLE_RATE]
        for f, t in zip(("night-science.mp3", "future-food.mp4"), spoken, strict=True)
    ]
    assert np.corrcoef(audio[0], audio[1])[0, 1] > 0.95


def test_all_of_it_is_small() -> None:
    assert sum(f.stat().st_size for f in Path(demo.BATCH).iterdir()) < 2_000_000
