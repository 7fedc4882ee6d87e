"""Recordings with bits flipped, bytes lost and headers that lie: each is done or named, and nothing else is touched."""

import io
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream

from podcast_assets.audio.errors import AudioError
from podcast_assets.audio.ingest import make_working_audio
from podcast_assets.intake.arrivals import find_arrival
from podcast_assets.intake.episodes import recordings
from podcast_assets.intake.unpack import unpack
from podcast_assets.stages.compute.local import Local
from podcast_assets.stages.ingest import Ingest, ingest_episode
from podcast_assets.stages.runner import run_stage
from podcast_assets.store.store import Store
from podcast_assets_tests.hostile.mutations import mutated

pytestmark = pytest.mark.hostile

RATE = 44_100
KINDS = {
    "mp3": ("mp3", "libmp3lame", RATE, {}),
    "m4a": ("mp4", "aac", RATE, {}),
    "mp4": ("mp4", "aac", RATE, {"movflags": "frag_keyframe+empty_moov"}),
    "opus": ("ogg", "libopus", 48_000, {}),
    "webm": ("webm", "libopus", 48_000, {}),
    "mkv": ("matroska", "aac", RATE, {}),
    "flac": ("flac", "flac", RATE, {}),
    "wav": ("wav", "pcm_s16le", RATE, {}),
    "aiff": ("aiff", "pcm_s16be", RATE, {}),
    "ts": ("mpegts", "mp2", RATE, {}),
    "avi": ("avi", "mp3", RATE, {}),
    "caf": ("caf", "pcm_s16le", RATE, {}),
    "wv": ("wv", "wavpack", RATE, {}),
    "mov": ("mov", "alac", RATE, {}),
    "aac": ("adts", "aac", RATE, {}),
    "ac3": ("ac3", "ac3", RATE, {}),
    "flv": ("flv", "libmp3lame", RATE, {}),
    "au": ("au", "pcm_s16be", RATE, {}),
    "ape": ("w64", "pcm_s24le", RATE, {}),
    "wma": ("tta", "tta", RATE, {}),
}
"""Suffix → what is in it; the last two are not what their names say."""


def recording(container: str, codec: str, rate: int, options: dict[str, str]) -> bytes:
    t = np.arange(int(1.5 * RATE)) / RATE
    noise = 0.02 * np.random.default_rng(1).standard_normal(len(t))
    samples = np.stack([0.4 * np.sin(2 * np.pi * (100 * t + 60 * t**2)), 0.2 * np.sin(2 * np.pi * 330 * t) + noise])
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container, options=options) as out:
        stream = cast("AudioStream", out.add_stream(codec, rate=rate, layout="stereo"))
        frame = av.AudioFrame.from_ndarray(samples.astype(np.float32), format="fltp", layout="stereo")
        frame.sample_rate = RATE
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return buffer.getvalue()


@pytest.mark.parametrize("seed", [0, 250])
def test_250_mutated_recordings_are_done_or_named(tmp_path: Path, seed: int) -> None:
    store = Store.at(tmp_path / "store")
    originals = {suffix: recording(*kind) for suffix, kind in KINDS.items()}
    names = []
    for number in range(seed, seed + 250):
        suffix = list(KINDS)[number % len(KINDS)]
        names.append(f"{number:04d}.{suffix}")
        store.write(f"incoming/fuzz/{names[-1]}", mutated(originals[suffix], number))
    unpacked = unpack(store, find_arrival(store, "fuzz"))
    found = recordings(unpacked.files)
    todo = [
        ingest_episode(r.episode_id, r.file.name, r.file.stored.sha256, r.file.stored.key)
        for r in found
        if r.duplicate_of is None
    ]
    stage = Ingest(store, longest=3_600)
    run = run_stage(stage, "fuzz", todo, store, Local(stage, 2))
    done, failed = set(run.provenance["source"]), set(run.failures["source"])
    assert done | failed == {e.source for e in todo}
    assert not done & failed
    assert len(failed) > 20, "the damage is none"
    assert len(done) > 20, "everything is refused"
    odd = run.failures.filter(~run.failures["permanent"] | (run.failures["message"] == ""))
    assert odd.is_empty(), odd.select("source", "error_type", "message").rows()
    crashed = [s for s, m in run.failures.select("source", "message").iter_rows() if "crashes its decoder" in m]
    assert not crashed, f"survived, but a library has a fault: {crashed}"
    rows = run.table()
    assert rows["duration"].max() < 60, "1.5 s of audio became minutes"  # type: ignore[operator]
    assert {p.name for p in tmp_path.iterdir()} == {"store"}
    assert len(list((tmp_path / "store" / "audio" / "working").rglob("*.*"))) == rows["working"].n_unique()


def header(rate: int, channels: int, bits: int = 16, size: int = 200_000, form: int = 1) -> bytes:
    """A WAV that says whatever it wants."""
    frame = channels * bits // 8
    numbers = [(form, 2), (channels, 2), (rate, 4), (rate * frame & 0xFFFFFFFF, 4), (frame & 0xFFFF, 2), (bits, 2)]
    description = b"".join(n.to_bytes(length, "little") for n, length in numbers)
    data = np.random.default_rng(0).bytes(size)
    sizes = [n.to_bytes(4, "little") for n in (36 + size, 16, size)]
    return b"RIFF" + sizes[0] + b"WAVEfmt " + sizes[1] + description + b"data" + sizes[2] + data


@pytest.mark.parametrize(
    ("rate", "channels"), [(1, 1), (100, 2), (2**31 - 1, 1), (4_000_000, 2), (RATE, 65_535)], ids=str
)
def test_headers_that_would_blow_a_small_file_up_are_refused(tmp_path: Path, rate: int, channels: int) -> None:
    target = tmp_path / "out.flac"
    with pytest.raises(AudioError):
        make_working_audio(header(rate, channels), target)
    assert not target.exists() or target.stat().st_size < 10_000


def test_samples_that_are_no_numbers_become_silence_and_sound(tmp_path: Path) -> None:
    found = make_working_audio(header(RATE, 1, bits=64, form=3), tmp_path / "out.flac")
    assert found.duration == pytest.approx(25_000 / RATE, abs=0.01)


def test_a_recording_that_goes_on_for_too_long_is_named(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"is longer than .* hours \(PODCAST_MAX_HOURS\)"):
        make_working_audio(recording(*KINDS["flac"]), tmp_path / "out.flac", longest=1.0)
