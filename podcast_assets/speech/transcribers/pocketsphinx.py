"""English speech recognition with nothing to download: PocketSphinx, whose package carries its model (extra `pocketsphinx`).

A classical recognizer (hidden Markov models, trigram language model): about every third word of real speech is wrong. It is the
last resort where no Whisper model is available; its rows are marked as embedded.
"""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from podcast_assets.common.errors import BadInput, EngineUnavailable
from podcast_assets.engines.engine import Engine
from podcast_assets.speech.text_measures import compression_ratio
from podcast_assets.speech.types import (
    SAMPLE_RATE,
    Audio,
    EpisodeSpeech,
    Samples,
    Transcriber,
    Transcript,
    TranscriptionResult,
    Turn,
    Word,
    one_by_one,
)
from podcast_assets.speech.vad import detect_speech, model_file

_FRAME = 0.01  # seconds
_MISSING = "pocketsphinx is not installed here: pip install 'podcast-assets[pocketsphinx]'"
_VARIANT = re.compile(r"\(\d+\)$")  # the dictionary's mark of a second pronunciation: "read(2)"
_FILLER = re.compile(r"<.*>|\[.*\]|\+\+.*\+\+")  # <s>, </s>, <sil>, [NOISE], ++BREATH++


class Pocketsphinx(Engine):
    """Settings of PocketSphinx with the US-English model of its own package."""

    name = "pocketsphinx"
    packages = ("pocketsphinx", "faster-whisper", "onnxruntime")
    extra = "pocketsphinx"
    embedded = True

    max_piece: float = Field(15.0, gt=0)
    """Longest piece of a turn in seconds that is decoded at once: the search fails on long pieces. Longer turns are cut at pauses,
    or evenly without pauses."""

    def load(self, device: str | None = None) -> Transcriber:
        """Load the recognizer's model.

        Raises:
            EngineUnavailable: the package is not installed.
        """
        try:
            from pocketsphinx import Decoder
        except ImportError as error:
            raise EngineUnavailable(_MISSING) from error
        return _PocketsphinxWorker(Decoder(samprate=SAMPLE_RATE, loglevel="FATAL"), self.max_piece)

    def model_files(self) -> list[Path]:
        """Return the acoustic model, dictionary and language model of the package, and Silero's network, without importing them.

        Raises:
            EngineUnavailable: a package is not installed.
        """
        spec = find_spec("pocketsphinx")
        if spec is None or spec.origin is None:
            raise EngineUnavailable(_MISSING)
        model = Path(spec.origin).parent / "model" / "en-us"
        return [*sorted(f for f in model.rglob("*") if f.is_file()), model_file()]


class _PocketsphinxWorker:
    def __init__(self, decoder: Any, max_piece: float) -> None:
        self._decoder = decoder
        self._max_piece = max_piece

    def transcribe(self, work: Iterable[EpisodeSpeech]) -> Iterator[TranscriptionResult]:
        """Implement `Transcriber.transcribe`.

        `avg_logprob` is the mean natural logarithm of the words' posterior probabilities; Whisper's is over tokens and cannot be
        compared with it. The language is not identified: an episode whose language is unknown or not English is refused with
        `BadInput`.
        """
        return one_by_one(self._transcribe_episode, work)

    def _transcribe_episode(self, speech: EpisodeSpeech) -> list[Transcript]:
        if speech.language != "en":
            language = (
                speech.language or "not known: declare it (--language, PODCAST_LANGUAGE, or the episode's metadata)"
            )
            raise BadInput(f"pocketsphinx supports English only, but the language of the episode is {language}")
        return [replace(self._transcribe_turn(speech.audio, turn), language=speech.language) for turn in speech.turns]

    def _transcribe_turn(self, audio: Audio, turn: Turn) -> Transcript:
        words: list[Word] = []
        for start, end in _split_turn(audio, turn, self._max_piece):
            words += self._recognize_words(audio[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)], start, end)
        text = " ".join(w.word for w in words)
        logprobs = [math.log(w.probability) for w in words if w.probability]
        return Transcript(
            text=text,
            words=words,
            engine=Pocketsphinx.name,
            avg_logprob=sum(logprobs) / len(logprobs) if logprobs else None,
            compression_ratio=compression_ratio(text),
        )

    def _recognize_words(self, audio: Samples, start: float, end: float) -> Iterator[Word]:
        decoder = self._decoder
        pcm = (np.clip(audio, -1.0, 1.0) * 32767).astype(np.int16)
        decoder.reinit_feat()  # reset the noise estimate, so that a turn's words do not depend on earlier turns
        decoder.start_utt()
        decoder.process_raw(pcm.tobytes(), full_utt=True)
        decoder.end_utt()
        for segment in decoder.seg() or ():
            if _FILLER.fullmatch(segment.word):
                continue
            yield Word(
                word=_VARIANT.sub("", segment.word),
                start=start + segment.start_frame * _FRAME,
                end=min(start + (segment.end_frame + 1) * _FRAME, end),
                probability=min(segment.prob, 1.0),
            )


def _split_turn(audio: Audio, turn: Turn, max_piece: float) -> Iterator[tuple[float, float]]:
    """Split the turn's speech into (start, end) in seconds: neighbouring stretches together, none longer than `max_piece`.

    Only stretches with detected speech are decoded: in silence, the recognizer invents words.
    """
    piece = audio[round(turn.start * SAMPLE_RATE) : round(turn.end * SAMPLE_RATE)]
    joined: list[tuple[float, float]] = []
    for start, end in detect_speech(piece, min_silence=0.3, pad=0.15):
        if joined and end - joined[-1][0] <= max_piece:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    for start, end in joined:
        count = math.ceil((end - start) / max_piece)
        borders = [turn.start + start + (end - start) * i / count for i in range(count + 1)]
        yield from pairwise(borders)
