"""Stage `diarize`: who speaks when."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl

from podcast_assets.common.errors import BadInput, is_device_error
from podcast_assets.config.groups.speech import NO_DIARIZER
from podcast_assets.engines.engine import Engine
from podcast_assets.speech import rttm
from podcast_assets.speech.diarizer_choice import LoadedDiarizers
from podcast_assets.speech.diarizers.none import speech_without_speakers
from podcast_assets.speech.diarizers.tracks import NAME as TRACKS
from podcast_assets.speech.diarizers.tracks import diarize_tracks, measure_track
from podcast_assets.speech.segmentation import SegmentationSettings, segment
from podcast_assets.speech.types import Audio, Diarization, Diarizer, Pcm, Turn
from podcast_assets.stages.engine_stage import EngineStage
from podcast_assets.stages.profiles import Profile
from podcast_assets.stages.speech_input import noise, read_audio
from podcast_assets.stages.stage import Episode, EpisodeResult, PreparedEpisode, engine_for
from podcast_assets.store.schema import SEGMENTS, Columns, make_table
from podcast_assets.store.schema_beside import SPEAKERS
from podcast_assets.store.store import Store, diarization_key
from podcast_assets.store.table_files import encode_table

NO_SPEAKERS = "no_speakers"
"""Flag of segments whose speakers are unknown, because the diarizer failed or is `none`."""
SPEAKER_TRACKS = "speaker_tracks"
"""Input of episodes in which each of these tracks of the original is a speaker."""


@dataclass(frozen=True, slots=True)
class PreparedAudio:
    """An episode's audio, and its diarization where its tracks tell who speaks."""

    audio: Audio
    by_tracks: Diarization | None = None


@dataclass(frozen=True)
class Diarize(EngineStage):
    """Working audio → segments with speakers; beside them, per episode, the full diarization and an embedding per speaker.

    Where the diarizer fails, or is `none`, the segments are the speech that Silero detects, without speakers and flagged.
    """

    store: Store
    engine: Engine
    segmentation: SegmentationSettings
    batch: str = ""
    name: ClassVar[str] = "diarize"
    version: ClassVar[str] = "2"
    columns: ClassVar[Columns] = SEGMENTS
    asset: ClassVar[str] = "diarized_segments"

    @staticmethod
    def engine_of(profile: Profile) -> Engine:
        """The diarizer."""
        return profile.diarizer

    def outputs(self, episode: Episode) -> list[str]:
        """Keys of the full diarization and of the table of speakers."""
        return [diarization_key(self.batch, episode.episode_id, suffix) for suffix in ("rttm", "parquet")]

    def prepare(self, episode: Episode) -> PreparedAudio:
        """Read the working audio and, where each speaker has a track, find the speech on each."""
        return PreparedAudio(read_audio(self.store, episode), self._diarize_tracks(episode))

    def _diarize_tracks(self, episode: Episode) -> Diarization | None:
        """Diarize by the tracks of the original, one in memory at a time; None where the diarizer has to find the speakers."""
        numbers = episode.inputs.get(SPEAKER_TRACKS)
        if not numbers:
            return None
        with self.store.local_copy(str(episode.inputs["original"])) as original:
            return diarize_tracks([measure_track(read_track(original, number)) for number in numbers])

    def smoke_test(self, worker: Diarizer) -> None:
        """Diarize noise."""
        worker.diarize(noise())

    def process_all(self, worker: Diarizer, work: Iterable[PreparedEpisode]) -> Iterator[EpisodeResult]:
        """Diarize one episode after the other; one row per segment."""
        for ready in work:
            try:
                yield self._process(worker, ready.episode, ready.prepared)
            except Exception as error:
                yield EpisodeResult(ready.episode, error)

    def _process(self, worker: Diarizer, episode: Episode, prepared: PreparedAudio) -> EpisodeResult:
        bounds = {name: episode.inputs[name] for name in ("min_speakers", "max_speakers")}
        chosen, fallback = engine_for(self, episode) or self.engine, None
        if isinstance(worker, LoadedDiarizers):
            worker = worker.of(chosen)
        audio, diarization = prepared.audio, prepared.by_tracks
        try:
            if diarization is None:
                diarization = worker.diarize(audio, **bounds)
        except Exception as error:
            if isinstance(error, BadInput) or is_device_error(error):
                raise
            fallback = f"{chosen.name}: {type(error).__name__}: {error}; segments without speakers"
            diarization = speech_without_speakers(audio)
        rttm_key, speakers_key = self.outputs(episode)
        engine = TRACKS if prepared.by_tracks else chosen.name
        self.store.write_all(
            [
                (rttm_key, rttm.format_rttm(episode.episode_id, _full_turns(diarization)).encode()),
                (speakers_key, encode_table(speaker_rows(episode, diarization, engine), {})),
            ]
        )
        turns = segment(diarization, audio, self.segmentation)
        without_speakers = fallback or engine == NO_DIARIZER
        rows = segment_rows(episode, turns, [NO_SPEAKERS] if without_speakers else [])
        if prepared.by_tracks or (not fallback and without_speakers):
            rows = rows.with_columns(engine=pl.lit(engine), degraded=pl.lit(value=False))
        return EpisodeResult(episode, rows, fallback)


def read_track(original: Path, number: int) -> Pcm:
    """Read one track of an original, counted from 1, as working audio has it."""
    from podcast_assets.audio.downmix import Downmix, open_blocks
    from podcast_assets.audio.resampling import resample
    from podcast_assets.audio.working import WORKING_RATE, to_int16

    with open_blocks(original, Downmix((number,))) as (rate, blocks):
        parts = [to_int16(block) for block in resample(blocks, rate, WORKING_RATE)]
    return Pcm(np.concatenate(parts) if parts else np.empty(0, np.int16))


def segment_rows(episode: Episode, turns: Sequence[Turn], flags: list[str]) -> pl.DataFrame:
    """One row per segment. Times are rounded to milliseconds, so that an id and the audio cut for it are the same stretch."""
    spans = [(round(t.start, 3), round(min(t.end, episode.seconds), 3), t.speaker, t.overlap) for t in turns]
    rows = [
        {
            "segment_id": segment_id(episode.episode_id, start, end),
            "episode_id": episode.episode_id,
            "segment_index": index,
            "start": start,
            "end": end,
            "duration": round(end - start, 3),
            "speaker": speaker,
            "overlap": overlap,
            "flags": flags,
            **({"degraded": True} if flags else {}),
        }
        for index, (start, end, speaker, overlap) in enumerate(s for s in spans if s[1] > s[0])
    ]
    added_by_runner = ("engine", "fingerprint") if flags else ("engine", "degraded", "fingerprint")
    return pl.DataFrame(rows, schema={k: SEGMENTS[k][0] for k in SEGMENTS if k not in added_by_runner})


def speaker_rows(episode: Episode, diarization: Diarization, engine: str) -> pl.DataFrame:
    """One row per speaker, sorted by name, with seconds of speech and the embedding of the voice."""
    spoken: dict[str, float] = {}
    for turn in _full_turns(diarization):
        if turn.speaker is not None:
            spoken[turn.speaker] = spoken.get(turn.speaker, 0.0) + turn.end - turn.start
    embeddings = diarization.embeddings
    return make_table(
        [
            {
                "episode_id": episode.episode_id,
                "speaker": speaker,
                "seconds": seconds,
                "embedding": [float(x) for x in embeddings[speaker]] if speaker in embeddings else None,
                "engine": engine,
            }
            for speaker, seconds in sorted(spoken.items())
        ],
        SPEAKERS,
    )


def segment_id(episode_id: str, start: float, end: float) -> str:
    """Sample key of a segment; times in seconds."""
    return f"{episode_id}-{round(start * 1000):09d}-{round(end * 1000):09d}"


def _full_turns(diarization: Diarization) -> Sequence[Turn]:
    """The turns with overlapping speech, where the diarizer gives them."""
    return diarization.turns if diarization.full is None else diarization.full
