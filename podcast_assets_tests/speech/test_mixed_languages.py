"""An episode in two languages, and a model that knows both: each turn in its own language, and told where it was not."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jiwer
import polars as pl
import pytest

from podcast_assets.audio.decode import decode
from podcast_assets.defs.checks.tables import languages_agree
from podcast_assets.speech.languages.text import TextLanguageIdentifier
from podcast_assets.speech.transcribers.faster_whisper.engine import FasterWhisper
from podcast_assets.speech.types import LANGUAGE_DIFFERS, EpisodeSpeech, Transcript, Turn

FIXTURES = Path(__file__).parents[1] / "fixtures"
REFERENCE: list[dict[str, Any]] = json.loads((FIXTURES / "mixed_languages" / "mixed.json").read_text())["turns"]


def transcribe(language: str | None = None, *, mixed: bool = False) -> Sequence[Transcript]:
    engine = FasterWhisper(
        model=str(FIXTURES / "mini_whisper_two"),
        chunk_seconds=8,
        timestamps=True,
        device="cpu",
        threads=1,
        mixed_languages=mixed,
    )
    turns = [Turn(t["start"], t["end"], t["speaker"]) for t in REFERENCE]
    audio = decode(FIXTURES / "mixed_languages" / "mixed.opus")
    (result,) = engine.load().transcribe([EpisodeSpeech("mixed", audio, turns, language)])
    assert not isinstance(result.transcripts, Exception), result.transcripts
    return result.transcripts


@pytest.fixture(scope="module")
def mixed() -> Sequence[Transcript]:
    return transcribe(mixed=True)


@pytest.fixture(scope="module")
def once() -> Sequence[Transcript]:
    """The language identified once for the episode, as is the default."""
    return transcribe()


def wer(transcripts: Sequence[Transcript], language: str) -> float:
    pairs = [(t["text"], x.text) for t, x in zip(REFERENCE, transcripts, strict=True) if t["language"] == language]
    said, transcribed = zip(*((s.lower(), h.replace(".", "").lower()) for s, h in pairs), strict=True)
    return float(jiwer.wer(list(said), list(transcribed)))


def test_each_turn_is_transcribed_in_its_own_language(mixed: Sequence[Transcript]) -> None:
    assert [t.language for t in mixed] == [t["language"] for t in REFERENCE]
    assert all((t.language_probability or 0) > 0.9 for t in mixed)
    assert not any(t.flags for t in mixed)
    assert {language: wer(mixed, language) <= 0.25 for language in ("en", "de")} == {"en": True, "de": True}


def test_one_language_for_all_makes_the_other_one_worse_and_says_so(
    once: Sequence[Transcript], mixed: Sequence[Transcript]
) -> None:
    (language,) = {t.language for t in once}
    for turn, transcript in zip(REFERENCE, once, strict=True):
        assert (LANGUAGE_DIFFERS in transcript.flags) == (turn["language"] != language)
    other = "en" if language == "de" else "de"
    assert wer(once, other) > wer(mixed, other) + 0.1


@pytest.mark.parametrize("how", ["mixed", "once"])
def test_the_check_tells_an_episode_whose_languages_disagree(how: str, request: pytest.FixtureRequest) -> None:
    transcripts: Sequence[Transcript] = request.getfixturevalue(how)
    ids = [str(i) for i in range(len(transcripts))]
    rows = pl.DataFrame(
        {
            "segment_id": ids,
            "language": [t.language for t in transcripts],
            "text_language": [TextLanguageIdentifier().language(t.text) for t in transcripts],
            "flags": [list(t.flags) for t in transcripts],
        },
        schema_overrides={"flags": pl.List(pl.String)},
    )
    segments = pl.DataFrame({"segment_id": ids, "duration": [t["end"] - t["start"] for t in REFERENCE]})
    verdict = languages_agree(rows, segments)
    assert verdict.passed == (how == "mixed"), verdict.facts


def test_a_declared_language_is_kept_and_doubted() -> None:
    declared = transcribe("en", mixed=True)
    assert {t.language for t in declared} == {"en"}
    assert [LANGUAGE_DIFFERS in t.flags for t in declared] == [t["language"] == "de" for t in REFERENCE]
