"""The same recording is known again, however it was encoded and whatever was put in; others, and what is no sound, are not."""

import ctypes
import io
import itertools
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from podcast_assets.audio.decode import decode
from podcast_assets.audio.encode import Codec, encode
from podcast_assets.audio.working import to_int16
from podcast_assets.common.errors import Misconfigured
from podcast_assets.intake.duplicates.chromaprint import (
    ANCHOR_SHARE,
    NOTHING,
    Items,
    anchor_positions,
    compare_fingerprints,
    fingerprint,
    load_chromaprint,
)
from podcast_assets_tests.chromaprint import needs_chromaprint
from podcast_assets_tests.miniature import BATCH

RATE = 16_000
HALF_AN_ITEM = 990
"""Samples by which two copies are as far from each other as items can be."""
Samples = npt.NDArray[np.float32]


def printed(samples: Samples) -> Items:
    return fingerprint(np.array_split(to_int16(samples), 3), RATE)


def again(samples: Samples, codec: Codec, bit_rate: int) -> Samples:
    return decode(io.BytesIO(encode(samples, RATE, codec, bit_rate=bit_rate)))


@pytest.fixture(scope="module")
def recordings() -> dict[str, Samples]:
    """Four of two speakers each, about 38 s long."""
    return {f.stem: decode(f) for f in sorted(BATCH.iterdir()) if f.suffix in (".mp4", ".m4a", ".opus")}


@needs_chromaprint
@pytest.mark.parametrize(("codec", "bit_rate"), [("mp3", 24_000), ("opus", 12_000)])
def test_what_was_encoded_again_is_the_same(recordings: dict[str, Samples], codec: Codec, bit_rate: int) -> None:
    for name, samples in recordings.items():
        overlap = compare_fingerprints(printed(samples), printed(again(samples[HALF_AN_ITEM:], codec, bit_rate)))
        assert overlap.share > 0.9, name
        assert overlap.share_of_other > 0.9, name
        assert abs(overlap.offset) < 0.2, name


@needs_chromaprint
def test_what_was_put_in_is_told_from_the_rest(recordings: dict[str, Samples]) -> None:
    """Sound of 2.6 s around each splice is in one item with what was put in, so a little less is found than there is."""
    first, other = list(recordings.values())[:2]
    advertisement, half = other[: 20 * RATE], len(first) // 2
    whole = np.concatenate([advertisement[: 5 * RATE], first[:half], advertisement, first[half:]])
    overlap = compare_fingerprints(printed(first), printed(again(whole, "mp3", 32_000)))
    assert 0.85 < overlap.share <= 1.0
    assert overlap.share_of_other == pytest.approx(len(first) / len(whole), abs=0.1)
    assert overlap.offset == pytest.approx(5, abs=0.2) or overlap.offset == pytest.approx(25, abs=0.2)
    shorter = compare_fingerprints(printed(first), printed(first[half:]))
    assert shorter.share_of_other > 0.9
    assert shorter.share == pytest.approx(0.5, abs=0.1)
    assert shorter.offset == pytest.approx(-half / RATE, abs=0.2)


@needs_chromaprint
def test_other_recordings_are_not_the_same(recordings: dict[str, Samples]) -> None:
    assert_all_differ(recordings)


@needs_chromaprint
def test_real_recordings_are_known_again_and_told_apart(real_audio: Path) -> None:
    real = {f.stem: decode(f) for f in sorted(real_audio.iterdir()) if f.suffix in (".wav", ".flac")}
    assert_all_differ(real)
    long = {name: samples for name, samples in real.items() if len(samples) >= 10 * RATE}
    assert len(long) >= 5
    for name, samples in long.items():
        overlap = compare_fingerprints(printed(samples), printed(again(samples[HALF_AN_ITEM:], "opus", 12_000)))
        assert min(overlap.share, overlap.share_of_other) > 0.9, name


def assert_all_differ(recordings: dict[str, Samples]) -> None:
    prints = {name: printed(samples) for name, samples in recordings.items()}
    for (name, one), (other_name, other) in itertools.combinations(prints.items(), 2):
        overlap = compare_fingerprints(one, other)
        assert max(overlap.share, overlap.share_of_other) < 0.1, (name, other_name)


@needs_chromaprint
def test_silence_noise_and_next_to_nothing_are_like_nothing() -> None:
    generator = np.random.default_rng(1)
    time = np.arange(20 * RATE, dtype=np.float32) / RATE
    nothing = {
        "silence": np.zeros(20 * RATE, np.float32),
        "a hum": (0.1 * np.sin(2 * np.pi * 100 * time)).astype(np.float32),
        "noise": (0.1 * generator.standard_normal(20 * RATE)).astype(np.float32),
        "0.1 s": (0.1 * generator.standard_normal(RATE // 10)).astype(np.float32),
        "3 s": (0.1 * generator.standard_normal(3 * RATE)).astype(np.float32),
        "no sample": np.zeros(0, np.float32),
    }
    prints = {name: printed(samples) for name, samples in nothing.items()}
    for (name, one), (other_name, other) in itertools.product(prints.items(), repeat=2):
        assert compare_fingerprints(one, other) == NOTHING, (name, other_name)
    for name in ("silence", "a hum", "noise", "0.1 s"):
        assert not len(anchor_positions(prints[name])), name


@needs_chromaprint
def test_both_copies_have_anchors_in_common(recordings: dict[str, Samples]) -> None:
    for name, samples in recordings.items():
        one, other = printed(samples), printed(again(samples, "opus", 16_000))
        shared = set(one[anchor_positions(one)]) & set(other[anchor_positions(other)])
        assert len(shared) > 20, name


def test_ten_hours_with_parts_put_in_left_out_and_moved() -> None:
    generator = np.random.default_rng(2)
    episode, other = (generator.integers(0, 2**32, 290_000, np.uint32) for _ in range(2))
    errors = (generator.random((len(episode), 32)) < 0.1) @ (1 << np.arange(32, dtype=np.uint64))
    copy = episode ^ errors.astype(np.uint32)
    copy = np.concatenate([other[:1000], copy[200_000:], other[5000:5500], copy[:100_000], copy[110_000:200_000]])
    overlap = compare_fingerprints(episode, copy)
    assert overlap.share == pytest.approx(28 / 29, abs=0.005)
    assert overlap.share_of_other == pytest.approx(280_000 / 281_500, abs=0.005)
    assert compare_fingerprints(episode, other).share < 0.001
    assert len(anchor_positions(episode)) == pytest.approx(len(episode) / ANCHOR_SHARE, rel=0.1)
    # one item in thirty is as it was, and those that are anchors here are anchors there
    assert len(set(episode[anchor_positions(episode)]) & set(copy[anchor_positions(copy)])) > 80


def test_without_pyacoustid_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "chromaprint", None)
    with pytest.raises(Misconfigured, match=r"podcast-assets\[near-duplicates\]"):
        load_chromaprint()


def test_without_the_system_library_its_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_there(name: str, *_: object, **__: object) -> ctypes.CDLL:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.delitem(sys.modules, "chromaprint", raising=False)
    monkeypatch.setattr(ctypes, "CDLL", not_there)
    with pytest.raises(Misconfigured, match="apt-get install libchromaprint1"):
        load_chromaprint()
