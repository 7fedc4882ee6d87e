"""From tables to shards: what is sealed is what the table says, and what was sealed before is known again."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from podcast_assets.dataset import sealing
from podcast_assets.dataset.shards import split_of
from podcast_assets.schema import HF_SHARDS, QUALITY_SCORES, RAW_AUDIO, SEGMENTS, TRANSCRIPTS, schema, table
from podcast_assets.stages.package import shard_rate
from podcast_assets.store import Store

EPISODES = ("ep-a", "ep-b")


def rows(columns: dict, *given: dict) -> pl.DataFrame:
    return table([dict.fromkeys(columns) | row for row in given], columns)


def content() -> pl.DataFrame:
    keys = [{"segment_id": f"{e}-{n}", "episode_id": e, "segment_index": n} for e in EPISODES for n in range(3)]
    audio = rows(RAW_AUDIO, *({"episode_id": e, "podcast": "One show", "status": "done"} for e in EPISODES))
    times = {"start": 0.0, "end": 1.0, "duration": 1.0, "speaker": "A", "overlap": 0.0, "degraded": False}
    segments = rows(SEGMENTS, *(k | times for k in keys))
    texts = rows(TRANSCRIPTS, *(k | {"text": "hello", "words": [], "degraded": True} for k in keys))
    return sealing.sample_content(audio, segments, texts)


def encoded(found: pl.DataFrame) -> Iterator[sealing.Encoded]:
    for episode in EPISODES:
        ids = found.filter(episode_id=episode)["segment_id"]
        members = [{"segment_id": i, "sample_rate": 16_000, "json": b"{}", "audio": i.encode() * 50} for i in ids]
        yield sealing.Encoded(pl.DataFrame(members), f"fingerprint of {episode}")


def sealed(store: Store, version: str = "v1") -> tuple[pl.DataFrame, pl.DataFrame]:
    """Content and the table of `hf_shards`."""
    found = content()
    places = sealing.seal_batch(store, "b", version, found, encoded(found), suffix="flac", shard_bytes=1 << 20)
    scores = rows(QUALITY_SCORES, *({"segment_id": i, "keep": True} for i in found["segment_id"]))
    return found, sealing.shards_table(places, found, scores)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.at(tmp_path)


def test_every_sample_has_its_place_and_its_content(store: Store) -> None:
    found, written = sealed(store)
    assert written.schema == schema(HF_SHARDS)
    assert written["segment_id"].to_list() == found["segment_id"].to_list()
    assert written["degraded"].all()
    assert written["language"].unique().to_list() == ["und"]
    assert sealing.wrong_shards(store, "b", written) == []


def test_a_show_without_a_guid_stays_on_one_side(store: Store) -> None:
    assert content()["split"].unique().to_list() == [split_of("One show")]


def test_what_was_sealed_is_known_again(store: Store) -> None:
    found, written = sealed(store)
    places = sealing.sealed_before(store, "b", "v1", found, written)
    assert places is not None
    assert places["segment_id"].to_list() == written["segment_id"].to_list()
    assert sealing.sealed_before(store, "b", "v2", found, written) is None
    assert sealing.sealed_before(store, "b", "v1", found.head(2), written) is None


def test_an_empty_table_is_not_taken_for_sealed_content(store: Store) -> None:
    """A batch that once held no speech must be sealed when some arrives."""
    found, written = sealed(store)
    assert sealing.sealed_before(store, "b", "v1", found, written.clear()) is None


@pytest.mark.parametrize("harm", ["truncated", "flipped", "gone"])
def test_harm_is_found(store: Store, harm: str) -> None:
    found, written = sealed(store)
    path = Path(str(store.path(f"sealed/b/{written['shard'][0]}")))
    data = bytearray(path.read_bytes())
    path.chmod(0o644)
    if harm == "gone":
        path.unlink()
    elif harm == "truncated":
        path.write_bytes(data[: len(data) // 2])
    else:
        data[int(written["audio_offset"][2]) + 5] ^= 1
        path.write_bytes(data)
    assert len(sealing.wrong_shards(store, "b", written)) == 1
    assert sealing.sealed_before(store, "b", "v1", found, written) is None


def test_a_table_that_speaks_of_other_samples_is_found(store: Store) -> None:
    _, written = sealed(store)
    assert sealing.wrong_shards(store, "b", written.with_columns(audio_sha256=pl.lit("0" * 64)))


def test_other_content_is_another_version(store: Store) -> None:
    found = content()
    prints: dict[str, str] = dict.fromkeys(EPISODES, "x")
    version = sealing.content_version(prints, found, 1000)
    assert version == sealing.content_version(prints, found, 1000)
    assert version != sealing.content_version(prints | {"ep-b": "y"}, found, 1000)
    assert version != sealing.content_version({"ep-a": "x"}, found, 1000)
    assert version != sealing.content_version(prints, found, 2000)


def test_old_versions_go_when_a_new_one_is_committed(store: Store) -> None:
    sealed(store, "v1")
    _, written = sealed(store, "v2")
    sealing.remove_other_versions(store, "b", ["v2"])
    assert not store.exists("sealed/b/v1")
    assert sealing.wrong_shards(store, "b", written) == []


@pytest.mark.parametrize(
    ("codec", "highest", "source", "rate"),
    [
        ("flac", 24_000, 44_100, 24_000),
        ("flac", 24_000, 16_000, 16_000),
        ("flac", 48_000, 22_050, 22_050),
        ("opus", 24_000, 22_050, 16_000),
        ("opus", 48_000, 44_100, 24_000),
        ("mp3", 24_000, 22_050, 22_050),
        ("opus", 24_000, 6_000, 8_000),
    ],
)
def test_the_rate_is_one_that_the_codec_knows_and_not_above_the_source(
    codec: str, highest: int, source: int, rate: int
) -> None:
    assert shard_rate(codec, highest, source) == rate
