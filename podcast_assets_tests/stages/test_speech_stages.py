"""The stages diarize and transcribe on real audio: what they write, and what a failing engine leaves behind."""

import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl
import pytest

from podcast_assets.audio.ingest import make_working_audio
from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.defs.checks.tables import speakers_known
from podcast_assets.engines.engine import Engine, make_engine
from podcast_assets.speech.diarizer_choice import DIARIZER, DiarizerChoice
from podcast_assets.speech.routing import Route, RoutedEngine
from podcast_assets.speech.rttm import parse_rttm
from podcast_assets.speech.segmentation import PRESETS
from podcast_assets.speech.types import Audio, Diarization, EpisodeSpeech, TranscriptionResult, one_by_one
from podcast_assets.stages.compute.local import Local
from podcast_assets.stages.diarize import Diarize
from podcast_assets.stages.runner import run_stage
from podcast_assets.stages.stage import Episode, stage_fingerprint
from podcast_assets.stages.transcribe import Transcribe
from podcast_assets.store.commits import CommittedTable
from podcast_assets.store.schema_beside import SPEAKERS
from podcast_assets.store.store import Store, diarization_key, working_key
from podcast_assets_tests import miniature

FILES = ("night-science.mp3", "water-history.opus")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, dict[str, float]]:
    """A store with working audio, and the lengths of its episodes."""
    store = Store.at(tmp_path_factory.mktemp("store"))
    lengths = {}
    for file in FILES:
        with store.writing(working_key(f"{file}0")) as target:
            lengths[file] = make_working_audio(miniature.BATCH / file, target).duration
    return store, lengths


def episodes(lengths: dict[str, float], **inputs: Any) -> list[Episode]:
    return [
        Episode(Path(file).stem, file, seconds, {"working": working_key(f"{file}0"), **inputs})
        for file, seconds in lengths.items()
    ]


class Deaf(Engine):
    """A diarizer that fails for the episodes that are longer than some seconds."""

    name: ClassVar[str] = "deaf"
    limit: float = 0.0

    def load(self, device: str | None = None) -> Any:
        return self

    def diarize(self, audio: Audio, *, min_speakers: int | None = None, max_speakers: int | None = None) -> Diarization:
        raise RuntimeError("no ears")


class Absent(Engine):
    """A diarizer that is not installed."""

    name: ClassVar[str] = "absent"

    def load(self, device: str | None = None) -> Any:
        raise EngineUnavailable("it is not installed")


class Mute(Engine):
    """A transcriber that fails for the episodes that are named."""

    name: ClassVar[str] = "mute"
    packages: ClassVar[tuple[str, ...]] = ()

    def load(self, device: str | None = None) -> Any:
        return self

    def transcribe(self, work: Iterable[EpisodeSpeech]) -> Iterator[TranscriptionResult]:
        return one_by_one(self._fail, work)

    def _fail(self, speech: EpisodeSpeech) -> Any:
        raise RuntimeError("no voice")


def diarize(filled: tuple[Store, dict[str, float]], engine: Engine, batch: str, **options: Any) -> pl.DataFrame:
    store, lengths = filled
    todo = episodes(lengths, min_speakers=None, max_speakers=None, segmentation=PRESETS["asr"].model_dump())
    stage = Diarize(store, engine, PRESETS["asr"], batch)
    result = run_stage(stage, batch, todo, store, Local(stage, 2), **options)
    rows = result.table()
    result.commit(store, rows)
    return rows


def test_the_full_diarization_and_the_voices_lie_beside_the_segments(filled: tuple[Store, dict[str, float]]) -> None:
    store = filled[0]
    rows = diarize(filled, make_engine("diarizer", "embedded"), "whole")
    for file in FILES:
        episode = Path(file).stem
        own = rows.filter(episode_id=episode)
        assert own["speaker"].n_unique() == 2
        turns = parse_rttm(store.path(diarization_key("whole", episode, "rttm")).read_text())[episode]
        assert {t.speaker for t in turns} == set(own["speaker"])
        voices = store.read_table(diarization_key("whole", episode, "parquet"), SPEAKERS)
        assert voices is not None
        assert voices["speaker"].to_list() == sorted(set(own["speaker"]))
        assert voices["seconds"].sum() == pytest.approx(sum(t.end - t.start for t in turns), abs=0.01)
        assert voices["embedding"].list.len().n_unique() == 1
    assert set(rows["flags"].list.len()) == {0}
    assert not rows["degraded"].any()


def test_where_the_diarizer_fails_the_episode_goes_on_without_speakers(filled: tuple[Store, dict[str, float]]) -> None:
    store = filled[0]
    rows = diarize(filled, Deaf(), "deaf")
    assert rows["speaker"].null_count() == rows.height > 4
    assert rows["flags"].to_list() == [["no_speakers"]] * rows.height
    assert rows["degraded"].all()
    committed = CommittedTable.read(store, "diarized_segments", "deaf")
    assert committed.provenance["fallback"].to_list() == ["deaf: RuntimeError: no ears; segments without speakers"] * 2
    again = diarize(filled, Deaf(limit=0.0), "deaf")
    assert again.equals(rows), "taken as it is, unless it is asked for again"
    stage = Diarize(store, Deaf(), PRESETS["asr"], "deaf")
    todo = episodes(filled[1], min_speakers=None, max_speakers=None, segmentation=PRESETS["asr"].model_dump())
    assert run_stage(stage, "deaf", todo, store, Local(stage, 2), retry_fallbacks=True).ran == 2


def test_episodes_may_name_their_diarizer_and_none_finds_speech_without_speakers(
    filled: tuple[Store, dict[str, float]],
) -> None:
    store, lengths = filled
    choice = DiarizerChoice(usual=Deaf(), others=(make_engine("diarizer", "none"), Absent()))
    bounds = {"min_speakers": None, "max_speakers": None, "segmentation": PRESETS["asr"].model_dump()}
    named = zip(episodes(lengths, **bounds), ("none", "absent"), strict=True)
    todo = [replace(e, inputs={**e.inputs, DIARIZER: name}) for e, name in named]
    usual = replace(todo[0], episode_id="usual", inputs={k: v for k, v in todo[0].inputs.items() if k != DIARIZER})
    stage = Diarize(store, choice, PRESETS["asr"], "named")
    result = run_stage(stage, "named", [*todo, usual], store, Local(stage, 2))
    rows = result.table().filter(episode_id=todo[0].episode_id)
    assert rows["speaker"].null_count() == rows.height > 2
    assert rows.select("engine", "degraded", "flags").unique().rows() == [("none", False, ["no_speakers"])]
    assert result.provenance.select("engine", "fallback").rows()[0] == ("none", None)
    assert (result.failures["error_type"].to_list(), result.failures["attempts"][0]) == (["EngineUnavailable"], 0)
    assert "no ears" in result.provenance.filter(episode_id="usual")["fallback"][0]
    # without a name the fingerprint is that of the diarizer alone
    alone = Diarize(store, Deaf(), PRESETS["asr"], "named")
    assert stage_fingerprint(stage, usual) == stage_fingerprint(alone, usual)
    assert speakers_known(rows).passed


class Careless(Engine):
    """A diarizer that must not be called by two threads at once."""

    name: ClassVar[str] = "careless"

    def load(self, device: str | None = None) -> Any:
        return CarelessWorker()


class CarelessWorker:
    """Fails where it is called while it works."""

    def __init__(self) -> None:
        self.working = threading.Lock()

    def diarize(self, audio: Audio, *, min_speakers: int | None = None, max_speakers: int | None = None) -> Diarization:
        assert self.working.acquire(blocking=False), "two at once"
        time.sleep(0.02)
        self.working.release()
        return Diarization([])


def test_a_named_diarizer_that_is_not_thread_safe_takes_one_episode_at_a_time() -> None:
    loaded = DiarizerChoice(usual=make_engine("diarizer", "embedded"), others=(Careless(),)).load()
    assert loaded.thread_safe
    assert not DiarizerChoice(usual=Careless()).load().thread_safe
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: loaded.of(Careless()).diarize(np.zeros(10, np.float32)), range(8)))
    assert found == [Diarization([])] * 8


def test_a_transcriber_that_fails_leaves_it_to_the_next_and_the_provenance_tells(
    filled: tuple[Store, dict[str, float]],
) -> None:
    store, lengths = filled
    segments = diarize(filled, make_engine("diarizer", "embedded"), "fallback")
    chain = (Mute(), make_engine("transcriber", "faster-whisper", **miniature.TRANSCRIBER, device="cpu", threads=1))
    stage = Transcribe(store, RoutedEngine(routes=(Route(language="*", chain=chain),)))
    todo = [
        Episode(
            e.episode_id,
            e.source,
            e.seconds,
            {
                **e.inputs,
                "language": "en",
                "hints": None,
                "segments": segments.filter(episode_id=e.episode_id).select("segment_id", "start", "end", "speaker"),
            },
        )
        for e in episodes(lengths)
    ]
    result = run_stage(stage, "fallback", todo, store, Local(stage, 2))
    rows = result.table()
    assert rows.height == segments.height
    assert rows["engine"].unique().to_list() == ["faster-whisper"]
    assert rows["flags"].to_list() == [["fallback"]] * rows.height
    assert rows["degraded"].all()
    assert "science" in " ".join(rows["text"])
    assert all("mute: RuntimeError: no voice" in f for f in result.provenance["fallback"])
