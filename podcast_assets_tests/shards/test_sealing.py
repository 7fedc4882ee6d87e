"""From tables to shards: what is sealed is what the table says, and what was sealed before is known again."""

import hashlib
import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest

from podcast_assets.shards import check, sealing
from podcast_assets.shards.episode_grain import episode_content, episode_json
from podcast_assets.shards.members import MembersWriter
from podcast_assets.shards.tar_shards import split_of
from podcast_assets.speech.rttm import parse_rttm
from podcast_assets.store.schema import (
    EPISODE_SHARDS,
    HF_SHARDS,
    QUALITY_SCORES,
    RAW_AUDIO,
    SEGMENTS,
    TRANSCRIPTS,
    WORDS,
    make_table,
    schema,
)
from podcast_assets.store.store import Store

EPISODES = ("ep-a", "ep-b")


def rows(columns: dict, *given: dict) -> pl.DataFrame:
    return make_table([dict.fromkeys(columns) | row for row in given], columns)


def content() -> pl.DataFrame:
    keys = [{"segment_id": f"{e}-{n}", "episode_id": e, "segment_index": n} for e in EPISODES for n in range(3)]
    audio = rows(RAW_AUDIO, *({"episode_id": e, "podcast": "One show", "status": "done"} for e in EPISODES))
    times = {"start": 0.0, "end": 1.0, "duration": 1.0, "speaker": "A", "overlap": 0.0, "degraded": False}
    segments = rows(SEGMENTS, *(k | times for k in keys))
    texts = rows(TRANSCRIPTS, *(k | {"text": "hello", "words": [], "degraded": True} for k in keys))
    return sealing.sample_content(audio, segments, texts)


def encoded(store: Store, found: pl.DataFrame, episodes: Sequence[str] = EPISODES) -> list[sealing.EncodedEpisode]:
    made = []
    for episode in episodes:
        key = f"encoded/{episode}"
        with store.writing(key) as file:
            members = MembersWriter(file)
            for i in found.filter(episode_id=episode)["segment_id"]:
                members.add(i, json.dumps({"id": i}).encode(), i.encode() * 50, rate=16_000, channels=1)
        made.append(sealing.EncodedEpisode(members.rows(), f"fingerprint of {episode}", key))
    return made


def sealed(store: Store, version: str = "v1") -> tuple[pl.DataFrame, pl.DataFrame]:
    """Content and the table of `hf_shards`."""
    found = content()
    places = sealing.seal_segments(
        store, "b", version, found, encoded(store, found), suffix="flac", shard_bytes=1 << 20
    )
    scores = rows(QUALITY_SCORES, *({"segment_id": i, "keep": True} for i in found["segment_id"]))
    return found, sealing.shards_table(places, found, scores)


def test_every_sample_has_its_place_and_its_content(store: Store) -> None:
    found, written = sealed(store)
    assert written.schema == schema(HF_SHARDS)
    assert sorted(written["segment_id"]) == sorted(found["segment_id"])
    assert written["degraded"].all()
    assert written["language"].unique().to_list() == ["und"]
    assert check.find_damaged_shards(store, "b", written) == []


def test_a_show_without_a_guid_stays_on_one_side(store: Store) -> None:
    assert content()["split"].unique().to_list() == [split_of("One show")]


def test_what_was_sealed_is_known_again(store: Store) -> None:
    found, written = sealed(store)
    places = check.find_sealed(store, "b", "v1", found, written)
    assert places is not None
    assert places["segment_id"].to_list() == written["segment_id"].to_list()
    assert check.find_sealed(store, "b", "v2", found, written) is None
    assert check.find_sealed(store, "b", "v1", found.head(2), written) is None


def test_an_empty_table_is_not_taken_for_sealed_content(store: Store) -> None:
    """A batch that once held no speech must be sealed when some arrives."""
    found, written = sealed(store)
    assert check.find_sealed(store, "b", "v1", found, written.clear()) is None


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
    assert len(check.find_damaged_shards(store, "b", written)) == 1
    assert check.find_sealed(store, "b", "v1", found, written) is None


def test_a_table_that_speaks_of_other_samples_is_found(store: Store) -> None:
    _, written = sealed(store)
    assert check.find_damaged_shards(store, "b", written.with_columns(audio_sha256=pl.lit("0" * 64)))


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
    assert check.find_damaged_shards(store, "b", written) == []


def many(store: Store, episodes: int = 90, segments: int = 4) -> tuple[pl.DataFrame, list[sealing.EncodedEpisode]]:
    """More episodes than files that are open at once."""
    names = [f"ep-{n}" for n in range(episodes)]
    keys = [{"segment_id": f"{e}-{n:09d}", "episode_id": e} for e in names for n in range(segments)]
    found = pl.DataFrame(keys).with_columns(language=pl.lit("en"), split=pl.lit("train"))
    return found, encoded(store, found, names)


def test_samples_are_shuffled_over_the_batch_and_the_order_is_that_of_their_keys(store: Store) -> None:
    found, members = many(store)
    options = {"suffix": "flac", "shard_bytes": 1 << 20}
    places = sealing.seal_segments(store, "b", "v1", found, members, **options)
    again = sealing.seal_segments(store, "b", "v2", found, members[::-1], **options)
    first, second = (store.read(f"sealed/b/{p['shard'][0]}") for p in (places, again))
    assert first == second, "the order in which episodes come is none of the shards' business"
    order = [i.rsplit("-", 1)[0] for i in places["segment_id"]]
    neighbours = sum(a == b for a, b in itertools.pairwise(order))
    assert neighbours < len(order) / 10
    assert places.filter(segment_id="ep-7-000000002")["fingerprint"].to_list() == ["fingerprint of ep-7"]
    for row in places.iter_rows(named=True):
        audio = first[row["audio_offset"] : row["audio_offset"] + row["audio_size"]]
        assert audio == row["segment_id"].encode() * 50


@pytest.mark.store
def test_a_bucket_gets_the_same_shards(store: Store, bucket: str) -> None:
    there = Store.at(bucket)
    options = {"suffix": "flac", "shard_bytes": 1 << 20}
    here = sealing.seal_segments(store, "b", "v", *many(store, 5), **options)
    found, members = many(there, 5)
    places = sealing.seal_segments(there, "b", "v", found, members, **options)
    assert places.equals(here)
    assert there.read(f"sealed/b/{places['shard'][0]}") == store.read(f"sealed/b/{places['shard'][0]}")
    assert check.find_damaged_shards(there, "b", places) == []


def test_memory_does_not_follow_the_batch(store: Store) -> None:
    """60 MB of members in an order that is not theirs."""
    import tracemalloc

    with store.writing("encoded/big") as file:
        members = MembersWriter(file)
        for n in range(600):
            members.add(f"ep-{n:09d}", b"{}", bytes([n % 256]) * 100_000, rate=16_000, channels=1)
    rows = members.rows()
    found = rows.select("segment_id", episode_id=pl.lit("ep"), language=pl.lit("en"), split=pl.lit("train"))
    made = [sealing.EncodedEpisode(rows, "f", "encoded/big")]
    tracemalloc.start()
    sealing.seal_segments(store, "b", "v1", found, made, suffix="flac", shard_bytes=1 << 30)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 6_000_000


@pytest.mark.parametrize("harm", ["truncated", "flipped"])
def test_harm_between_encoding_and_sealing_is_found(store: Store, harm: str) -> None:
    found, members = content(), encoded(store, content())
    data = bytearray(store.read(members[0].file))
    if harm == "flipped":
        data[-3] ^= 1
    store.write(members[0].file, bytes(data if harm == "flipped" else data[:-3]))
    options = {"suffix": "flac", "shard_bytes": 1 << 20}
    if harm == "truncated":
        with pytest.raises(EOFError, match="ep-a is cut off"):
            sealing.seal_segments(store, "b", "v1", found, members, **options)
        assert not store.names("sealed/b/v1/data/und/train"), "no shard appears"
        return
    places = sealing.seal_segments(store, "b", "v1", found, members, **options)
    assert "not those of the table" in check.find_damaged_shards(store, "b", places)[0]


def test_one_whole_sample_per_episode(store: Store) -> None:
    found = content()
    about = rows(RAW_AUDIO, *({"episode_id": e, "duration": 9.0, "title": e.upper()} for e in EPISODES))
    whole = episode_content(about, found)
    made = []
    for episode in EPISODES:
        audio = episode.encode() * 500_000
        store.write(f"encoded/{episode}", audio)
        row = {
            "episode_id": episode,
            "sample_rate": 24_000,
            "channels": 2,
            "json": b"{}",
            "json_sha256": hashlib.sha256(b"{}").hexdigest(),
            "audio_size": len(audio),
            "audio_sha256": hashlib.sha256(audio).hexdigest(),
        }
        made.append(sealing.EncodedEpisode(pl.DataFrame([row]), f"fingerprint of {episode}", f"encoded/{episode}"))
    places = sealing.seal_episodes(store, "b", "v1", whole, made, suffix="flac", shard_bytes=1 << 20)
    written = sealing.episodes_table(places, whole)
    assert written.schema == schema(EPISODE_SHARDS)
    assert sorted(written["shard"]) == [f"v1/episode_data/und/train/audio_00000{n}.tar" for n in (0, 1)]
    assert written.select("segments", "speakers", "degraded").unique().rows() == [(3, 1, True)]
    assert check.find_damaged_shards(store, "b", written, sealing.EPISODE_GRAIN) == []
    assert check.find_sealed(store, "b", "v1", whole, written, sealing.EPISODE_GRAIN) is not None


def test_an_episode_speaks_the_language_in_which_most_is_said() -> None:
    found = pl.DataFrame(
        {
            "segment_id": ["a", "b", "c"],
            "episode_id": ["ep"] * 3,
            "language": ["de", "en", "de"],
            "duration": [4.0, 7.0, 4.0],
            "split": ["train"] * 3,
            "speaker": ["A", None, "B"],
            "degraded": [False] * 3,
        }
    )
    whole = episode_content(rows(RAW_AUDIO, {"episode_id": "ep", "duration": 20.0}), found)
    assert whole.select("language", "speakers", "segments").rows() == [("de", 2, 3)]


@pytest.mark.parametrize("rttm", [None, "SPEAKER ep 1 0.500 1.250 <NA> <NA> B <NA> <NA>\n"])
def test_the_json_of_an_episode_has_every_key_whatever_is_known(rttm: str | None) -> None:
    samples = pl.DataFrame(
        {
            "segment_id": ["x"],
            "start": [0.0],
            "end": [2.0],
            "speaker": ["A"],
            "text": ["hello"],
            "language": ["en"],
            "words": [None],
        },
        schema_overrides={"words": WORDS},
    )
    about = dict.fromkeys(("episode_id", "podcast_id", "podcast", "title", "duration", "language", "license"))
    found = json.loads(episode_json(about | {"episode_id": "ep"}, samples, rttm, sample_rate=24_000))
    empty = json.loads(episode_json(about | {"episode_id": "ep"}, samples.clear(), "", sample_rate=24_000))
    assert found.keys() == empty.keys()
    assert found["text"] == "hello"
    assert found["turns"] == [
        {"start": 0.0, "end": 2.0, "speaker": "A"} if rttm is None else {"start": 0.5, "end": 1.75, "speaker": "B"}
    ]
    assert parse_rttm(found["rttm"])["ep"]
    assert (empty["turns"], empty["segments"], empty["text"]) == ([], [], "")
