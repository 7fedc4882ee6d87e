"""Shards: the same samples give the same bytes; what is in them can be read by those who read shards."""

import hashlib
import io
import itertools
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from podcast_assets.shards.tar_shards import Sample, read_shard, shuffle_key, split_of, write_shards
from podcast_assets.shards.ustar import END
from podcast_assets.stages.package import sample_json
from podcast_assets.store.store import Store
from podcast_assets_tests.shards.in_memory import member_bytes
from podcast_assets_tests.shards.in_memory import sample as sample_of


def audio(n: int) -> bytes:
    return bytes([n]) * (700 * n + 1)


def samples(count: int = 7, group: str = "data/en/train") -> list[Sample]:
    return [
        sample_of(
            f"ep-{n:012x}-{n * 1000:09d}-{n * 1000 + 900:09d}",
            group,
            "flac",
            json.dumps({"n": n}).encode(),
            audio(n),
        )
        for n in range(count)
    ]


def content(store: Store, folder: str) -> dict[str, bytes]:
    root = Path(str(store.path(folder)))
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_the_same_samples_give_the_same_bytes(store: Store) -> None:
    first = write_shards(store, "one", samples(), shard_bytes=1 << 20)
    second = write_shards(store, "two", samples(), shard_bytes=1 << 20)
    assert first == second
    assert content(store, "one") == content(store, "two")


def test_two_members_per_sample_with_nothing_of_this_machine(store: Store) -> None:
    write_shards(store, "out", samples(2), shard_bytes=1 << 20)
    with tarfile.open(fileobj=io.BytesIO(content(store, "out")["data/en/train/audio_000000.tar"])) as tar:
        infos = tar.getmembers()
    assert [i.name.split(".")[-1] for i in infos] == ["json", "flac", "json", "flac"]
    assert {(i.mtime, i.uid, i.gid, i.uname, i.gname, i.mode) for i in infos} == {(0, 0, 0, "", "", 0o444)}
    assert all(not i.pax_headers for i in infos)


def test_a_new_shard_begins_when_one_is_full(store: Store) -> None:
    sealed = write_shards(store, "out", [*samples(9), *samples(2, "data/de/test")], shard_bytes=10_240)
    assert [s.path for s in sealed.shards][:2] == ["data/de/test/audio_000000.tar", "data/en/train/audio_000000.tar"]
    assert len(sealed.shards) > 3
    assert sum(s.samples for s in sealed.shards) == 11


def test_the_index_finds_the_audio_and_reading_back_finds_the_index(store: Store) -> None:
    sealed = write_shards(store, "out", samples(), shard_bytes=1 << 20)
    (data,) = content(store, "out").values()
    for n, (sample, place) in enumerate(zip(samples(), sealed.placed, strict=True)):
        assert data[place.audio_offset : place.audio_offset + place.audio_size] == audio(n)
        assert data[place.json_offset : place.json_offset + place.json_size] == sample.json
    digest, found = read_shard(io.BytesIO(data))
    assert digest == sealed.shards[0].sha256 == hashlib.sha256(data).hexdigest()
    assert [replace(p, shard=sealed.shards[0].path) for p in found] == sealed.placed


def test_audio_that_comes_in_pieces_gives_the_same_bytes(store: Store) -> None:
    write_shards(store, "one", samples(), shard_bytes=1 << 20)
    in_pieces = [
        replace(s, audio=iter([audio(n)[:300], audio(n)[300:301], audio(n)[301:]])) for n, s in enumerate(samples())
    ]
    write_shards(store, "two", in_pieces, shard_bytes=1 << 20)
    assert content(store, "one") == content(store, "two")


def test_audio_that_is_not_as_long_as_it_says_is_refused(store: Store) -> None:
    first, second = samples(2)
    with pytest.raises(ValueError, match=r"700 bytes instead of 701"):
        write_shards(store, "out", [first, replace(second, audio=(bytes(700),))], shard_bytes=1 << 20)
    assert content(store, "out") == {}


def test_a_group_that_comes_back_is_refused(store: Store) -> None:
    """It would write the shards of the first stretch again."""
    with pytest.raises(ValueError, match="one after the other"):
        write_shards(store, "out", [*samples(1), *samples(1, "data/de/test"), *samples(1)], shard_bytes=1 << 20)


def test_the_shuffle_depends_on_the_keys_alone() -> None:
    keys = [f"ep-{e}-{n:09d}" for e in range(20) for n in range(50)]
    order = sorted(keys, key=shuffle_key)
    assert order == sorted({*keys}, key=shuffle_key), "whatever order they come in"
    assert order[:2] == ["ep-4-000000036", "ep-10-000000046"], "another order changes every shard that was ever sealed"
    same_episode = sum(a.rsplit("-", 1)[0] == b.rsplit("-", 1)[0] for a, b in itertools.pairwise(order))
    assert same_episode < len(keys) / 10


def test_a_shard_that_is_cut_off_anywhere_is_refused(store: Store) -> None:
    write_shards(store, "out", samples(), shard_bytes=1 << 20)
    (data,) = content(store, "out").values()
    for length in (*range(0, len(data), 512), len(data) - 1):
        with pytest.raises(ValueError, match=r"truncated|cut off|missing"):
            read_shard(io.BytesIO(data[:length]))


def test_members_that_are_no_pairs_are_refused() -> None:
    for names in (("a.json", "b.flac"), ("a.flac", "a.json"), ("a.json", "a.flac", "b.json")):
        data = b"".join([*(member_bytes(name, b"x") for name in names), END])
        with pytest.raises(ValueError, match=r"not a pair|no audio beside"):
            read_shard(io.BytesIO(data))


def test_a_failure_in_the_middle_leaves_no_shard(store: Store) -> None:
    def broken():
        yield from samples(3)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_shards(store, "out", broken(), shard_bytes=1 << 20)
    assert content(store, "out") == {}


def test_a_dot_in_a_key_is_refused_because_it_merges_samples(store: Store) -> None:
    with pytest.raises(ValueError, match="a dot in the key"):
        write_shards(store, "out", [sample_of("a.b", "g", "flac", b"{}", b"x")], shard_bytes=1)


def test_splits_keep_a_podcast_together_and_are_about_96_2_2() -> None:
    found = [split_of(f"podcast-{n}") for n in range(5000)]
    assert [found[n] for n in (0, 27, 19)] == ["train", "validation", "test"], "another split moves every podcast"
    shares = {name: found.count(name) / len(found) for name in ("train", "validation", "test")}
    assert shares["train"] == pytest.approx(0.96, abs=0.01)
    assert shares["test"] == pytest.approx(0.02, abs=0.01)


def test_every_key_is_in_every_json_and_floats_stay_floats() -> None:
    row = dict.fromkeys(
        "segment_id episode_id podcast_id segment_index start end duration text language language_probability speaker words "
        "avg_logprob no_speech_prob compression_ratio license".split()
    ) | {"start": 6.0, "words": [], "segment_index": 3}
    note = sample_json(row, 24_000).decode()
    assert '"start":6.0' in note
    assert set(json.loads(note)) == {*row, "id", "sample_rate", "v"} - {"segment_id"}
