"""Real recordings, by the command that people use, with the profile `embedded`: what it reaches, within bounds.

The bounds are what was measured (docs/guides/engines.md), with room for other versions of the libraries.
"""

import json
import shutil
from pathlib import Path
from typing import Any, cast

import jiwer
import polars as pl
import pytest
from pyannote.core import Annotation, Segment, Timeline
from pyannote.metrics.diarization import DiarizationErrorRate
from whisper_normalizer.english import EnglishTextNormalizer

from podcast_assets.cli.demo_evaluation import COLLAR
from podcast_assets.speech.rttm import parse_rttm
from podcast_assets_tests.conftest import Place

SPOKEN = {
    "jfk.flac": "and so my fellow americans ask not what your country can do for you ask what you can do for your country",
    "sense-0870.wav": (
        "and mister john dashwood had then leisure to consider how much there might be prudently in his power to do for them"
    ),
    "sense-0880.wav": "he was not an ill disposed young man",
    "sense-0890.wav": "unless to be rather cold hearted and rather selfish is to be ill disposed",
}


OTHERS = ("conversation.wav", "dev00.wav", "dev01.wav", "libri-198.ogg", "sonnet-1.mp3", "README.md", "meeting.rttm")


@pytest.fixture(scope="module")
def recordings(real_audio: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every format that is there, and every recording that is measured; all of them would take twice as long."""
    folder = tmp_path_factory.mktemp("recordings")
    for name in (*SPOKEN, *OTHERS):
        shutil.copy(real_audio / name, folder)
    return folder


@pytest.fixture(scope="module")
def report(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    place = Place(tmp_path_factory.mktemp("real"))
    result = place.command("run", recordings, "--json", PODCAST_ENGINES="{}")
    assert result.returncode == 0, result.stderr
    assert "profile embedded: the model 'small'" in result.stderr
    return json.loads(result.stdout)


def test_every_file_is_done_or_skipped_with_a_reason(report: dict[str, Any], recordings: Path) -> None:
    names = sorted(path.name for path in recordings.iterdir())
    audio = [name for name in names if name.endswith((".wav", ".flac", ".ogg", ".mp3"))]
    by_status = {
        s: [e["source"] for e in report["episodes"] if e["status"] == s] for s in ("done", "skipped", "failed")
    }
    assert audio and sorted(by_status["done"]) == audio
    assert sorted(by_status["skipped"]) == [name for name in names if name not in audio]
    assert by_status["failed"] == []
    assert report["shards"]


def test_words_of_read_and_public_speech(report: dict[str, Any]) -> None:
    found = {e["source"]: e["text"] for e in report["episodes"]}
    normalize = EnglishTextNormalizer()
    assert jiwer.wer([normalize(t) for t in SPOKEN.values()], [normalize(found[name]) for name in SPOKEN]) <= 0.1


def test_speakers_of_the_conversation_and_the_meetings(report: dict[str, Any], real_audio: Path) -> None:
    """Far-field meetings with much overlap remain hard: the embedded diarizer is weak there."""
    segments = pl.read_parquet(report["tables"]["diarized_segments"])
    ids = {Path(e["source"]).stem: e["episode_id"] for e in report["episodes"]}
    rates: dict[str, float] = {}
    for rttm in ("conversation.rttm", "meeting.rttm"):
        for name, turns in parse_rttm((real_audio / rttm).read_text()).items():
            if name not in ids:
                continue
            expected, found = Annotation(), Annotation()
            for n, turn in enumerate(turns):
                expected[Segment(turn.start, turn.end), n] = turn.speaker
            rows = segments.filter(episode_id=ids[name]).select("start", "end", "speaker")
            for n, (start, end, speaker) in enumerate(rows.iter_rows()):
                found[Segment(start, end), n] = speaker
            measure = DiarizationErrorRate(collar=COLLAR)
            rates[name] = cast("float", measure(expected, found, uem=Timeline([Segment(0, 30)])))
    assert rates["conversation"] <= 0.12
    assert rates["dev00"] <= 0.5
    assert rates["dev01"] <= 0.5
