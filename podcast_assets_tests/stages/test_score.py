"""The stage score: what it says of originals and of working audio, with a scorer that costs nothing."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl
import pytest
import soundfile
import soxr

from podcast_assets.audio.ingest import make_working_audio
from podcast_assets.audio.working_file import WorkingFile
from podcast_assets.engines.engine import Engine
from podcast_assets.stages import speech_input
from podcast_assets.stages.compute.local import Local
from podcast_assets.stages.runner import run_stage
from podcast_assets.stages.score import Score
from podcast_assets.stages.stage import Episode
from podcast_assets.store.store import Store, working_key

RATE = 24_000


class Loud(Engine):
    """A scorer that knows one column of the table and one score that has none."""

    name: ClassVar[str] = "loud"

    def load(self, device: str | None = None) -> Any:
        return self

    def score(self, audio: Any, segments: Any) -> list[dict[str, float | None]]:
        return [{"music_share": 0.5, "utmos": end - start} for start, end in segments]


def arrived(store: Store, name: str, samples: np.ndarray, rate: int, spans: list[tuple[float, float]]) -> Episode:
    """An episode whose original has these samples."""
    original, working = f"audio/original/{name}.flac", working_key(name * 8)
    with store.writing(original) as target:
        soundfile.write(target, samples, rate, format="FLAC")
    with store.writing(working) as target:
        length = make_working_audio(Path(str(store.path(original))), target).duration
    segments = pl.DataFrame(
        [{"segment_id": f"{name}-{i}", "start": s, "end": e, "speaker": "A"} for i, (s, e) in enumerate(spans)]
    )
    inputs = {"original": original, "working": working, "sample_rate": rate, "segments": segments}
    return Episode(name, f"{name}.flac", length, inputs)


def scores(store: Store, *episodes: Episode) -> dict[str, list[dict[str, Any]]]:
    stage = Score(store, Loud())
    result = run_stage(stage, "b", list(episodes), store, Local(stage, 2))
    assert result.failures.is_empty(), result.failures["traceback"].to_list()
    table = result.table()
    return {e.episode_id: table.filter(episode_id=e.episode_id).to_dicts() for e in episodes}


def hiss(seconds: float, rate: int = RATE) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.05, round(seconds * rate)).astype(np.float32)


def cut_at(cutoff: int, samples: np.ndarray) -> np.ndarray:
    return soxr.resample(soxr.resample(samples, RATE, 2 * cutoff), 2 * cutoff, RATE).astype(np.float32)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.at(tmp_path)


def test_a_file_of_24_khz_that_is_cut_at_8_khz_shows(store: Store):
    span = [(0.0, 2.0)]
    honest, cut = (
        arrived(store, "honest", hiss(2), RATE, span),
        arrived(store, "cut", cut_at(8000, hiss(2)), RATE, span),
    )
    found = scores(store, honest, cut)
    assert found["honest"][0]["source_bandwidth_hz"] == pytest.approx(12_000, rel=0.01)
    assert found["cut"][0]["source_bandwidth_hz"] == pytest.approx(8000, rel=0.03)
    # the working audio, at 16 kHz, has no more either way
    assert [rows[0]["bandwidth_hz"] for rows in found.values()] == pytest.approx([8000, 8000], rel=0.05)


def test_each_segment_has_a_bandwidth_of_its_own(store: Store):
    samples = np.concatenate([hiss(2), cut_at(4000, hiss(2)), np.zeros(2 * RATE, np.float32)])
    stereo = np.stack([samples, samples * 0.5], axis=1)
    (rows,) = scores(store, arrived(store, "mixed", stereo, RATE, [(0.0, 1.9), (2.1, 3.9), (4.5, 5.5)])).values()
    wide, narrow, silent = (row["source_bandwidth_hz"] for row in rows)
    assert wide == pytest.approx(12_000, rel=0.01)
    assert narrow == pytest.approx(4000, rel=0.05)
    assert silent is None


def test_what_scorers_say_has_its_column_or_its_name(store: Store):
    (rows,) = scores(store, arrived(store, "any", hiss(3), RATE, [(0.0, 1.0), (1.0, 3.0)])).values()
    assert [row["music_share"] for row in rows] == [0.5, 0.5]
    assert [row["more_scores"] for row in rows] == [
        [{"name": "utmos", "value": 1.0}],
        [{"name": "utmos", "value": 2.0}],
    ]
    assert {row["dnsmos_ovrl"] for row in rows} == {row["noise_share"] for row in rows} == {None}


def test_an_episode_whose_original_is_gone_is_a_failure_that_may_pass(store: Store):
    episode = arrived(store, "gone", hiss(2), RATE, [(0.0, 1.0)])
    store.remove(str(episode.inputs["original"]))
    stage = Score(store, Loud())
    result = run_stage(stage, "b", [episode], store, Local(stage, 2))
    assert result.failures["episode_id"].to_list() == ["gone"]
    assert not result.failures["permanent"][0]
    assert str(episode.inputs["original"]) in result.failures["message"][0]


class Refuses(Store):
    """A store whose audio must not be read."""

    def local_copy(self, key: str) -> Any:
        raise AssertionError(f"{key} was read")


def test_of_an_episode_without_segments_no_audio_is_read(tmp_path: Path):
    none = pl.DataFrame(schema={"segment_id": pl.String, "start": pl.Float64, "end": pl.Float64, "speaker": pl.String})
    inputs = {"original": "o", "working": "w", "sample_rate": RATE, "segments": none}
    assert scores(Refuses(tmp_path), Episode("silent", "silent.flac", 72_000.0, inputs)) == {"silent": []}


def test_long_audio_is_scored_as_if_it_were_in_memory(store: Store, monkeypatch: pytest.MonkeyPatch):
    episode = arrived(store, "long", hiss(70), RATE, [(0.0, 3.0), (55.0, 69.5)])
    in_memory = scores(store, episode)
    store.remove("checkpoints")
    monkeypatch.setattr(speech_input, "SECONDS_IN_MEMORY", 60.0)
    assert isinstance(speech_input.read_audio(store, episode), WorkingFile)
    assert scores(store, episode) == in_memory


def test_long_audio_that_is_damaged_is_removed_to_be_made_again(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(speech_input, "SECONDS_IN_MEMORY", 1.0)
    episode = arrived(store, "cut", hiss(9), RATE, [])
    path = Path(str(store.path(str(episode.inputs["working"]))))
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(speech_input.WorkingAudioLost, match="materialize raw_audio again"):
        speech_input.read_audio(store, episode)
    assert not path.exists()
