"""Episodes of two synthetic voices taking turns, with exact times."""

import random
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import soxr

from podcast_assets_tests.training.mini_whisper.corpus import natural_sentence
from podcast_assets_tests.training.mini_whisper.synthesize import word_times
from podcast_assets_tests.training.mini_whisper.tts import FLITE_VOICES, Espeak, Flite

RATE = 44_100
TURN_SECONDS = (2.0, 10.0)
GAP_SECONDS = (0.3, 0.8)
"""From the last word of a turn to the first of the next."""
MARGIN_SECONDS = 0.05
"""Kept before and after the words of a turn; the rest of the synthesizer's silence is cut."""
BREATH_SECONDS = 0.1
"""Between the sentences of a turn, beside the synthesizer's silence."""
EPISODE_SECONDS = 32.0
"""No turn starts after this, save for the farewell."""
PEAK = 0.6
NOISE = 0.002
"""Standard deviation of the noise floor, about -54 dBFS: real recordings have one."""
ESPEAK_RATE = 165


@dataclass(frozen=True)
class Plan:
    """An episode to make. `voices` are two names of flite or espeak-ng voices; `topics` two nouns of the vocabulary."""

    stem: str
    title: str
    podcast: str
    published: str
    voices: tuple[str, str]
    topics: tuple[str, str]


@dataclass(frozen=True)
class SpokenTurn:
    """Times in seconds from the start of the episode; the turn lasts from its first word to the end of its last."""

    speaker: str
    text: str
    words: list[tuple[str, float, float]]

    @property
    def start(self) -> float:
        return self.words[0][1]

    @property
    def end(self) -> float:
        return self.words[-1][2]


@dataclass(frozen=True)
class Episode:
    """Mono audio at RATE with its turns."""

    audio: npt.NDArray[np.float32]
    turns: list[SpokenTurn]


Audio = npt.NDArray[np.float32]
Sentences = list[list[str]]
TimedWords = list[tuple[str, float, float]]


class Studio:
    """Common interface of both synthesizers."""

    def __init__(self) -> None:
        self._espeak, self._flite = Espeak(), Flite()

    def speak(self, voice: str, sentences: Sentences) -> tuple[Audio, TimedWords]:
        """Return audio at RATE and its words with times.

        Sentences are synthesized one by one: across sentences espeak-ng loses word events.

        Raises:
            ValueError: the synthesizer's word times do not fit the text.
        """
        audio, timed, at = [], [], 0
        for words in sentences:
            text = " ".join(words) + "."
            flite = voice in FLITE_VOICES
            speech = self._flite.synth(text, voice) if flite else self._espeak.synth(text, voice, rate=ESPEAK_RATE)
            times = word_times(speech, words)
            if times is None:
                raise ValueError(f"{voice} gave no usable word times for: {text}")
            timed += [(w, at / RATE + start, at / RATE + end) for w, (start, end) in zip(words, times, strict=True)]
            audio += [soxr.resample(speech.audio, speech.rate, RATE), np.zeros(int(BREATH_SECONDS * RATE), np.float32)]
            at += audio[-2].size + audio[-1].size
        first = max(0, int((timed[0][1] - MARGIN_SECONDS) * RATE))
        last = int((timed[-1][2] + MARGIN_SECONDS) * RATE)
        joined = np.concatenate(audio)[first:last].astype(np.float32)
        shifted = [(w, start - first / RATE, end - first / RATE) for w, start, end in timed]
        return joined * (PEAK / np.abs(joined).max()), shifted


def _sentences(*texts: str) -> Sentences:
    return [text.split() for text in texts]


def record(plan: Plan, studio: Studio, r: random.Random) -> Episode:
    """Speak an episode: a greeting, turns of one to three sentences, a farewell."""
    first, second = plan.topics
    greeting = _sentences("hello and welcome to the podcast", f"today we talk about {first} and {second}")
    reply = _sentences("hello", f"thank you i really want to talk about the {first}")
    farewell = _sentences("thank you", "listen to the next episode again")

    pieces = [np.zeros(RATE // 2, np.float32)]
    at = pieces[0].size
    turns: list[SpokenTurn] = []

    def say(sentences: Sentences) -> None:
        """Add a turn of the next speaker, unless it is too short or too long."""
        nonlocal at
        speaker = len(turns) % 2
        audio, words = studio.speak(plan.voices[speaker], sentences)
        if not TURN_SECONDS[0] <= words[-1][2] - words[0][1] <= TURN_SECONDS[1]:
            return
        begin = at / RATE
        placed = [(w, round(begin + s, 3), round(begin + e, 3)) for w, s, e in words]
        turns.append(SpokenTurn(f"SPEAKER_{speaker:02d}", " ".join(w for w, _, _ in placed), placed))
        gap = np.zeros(int((r.uniform(*GAP_SECONDS) - 2 * MARGIN_SECONDS) * RATE), np.float32)
        pieces.extend([audio, gap])
        at += audio.size + gap.size

    say(greeting)
    say(reply)
    while at < EPISODE_SECONDS * RATE:
        say([natural_sentence(r) for _ in range(r.randint(1, 3))])
    say(farewell)
    audio = np.concatenate(pieces)
    noise = np.random.default_rng(r.randrange(1 << 32)).normal(0, NOISE, audio.size)
    return Episode(audio + noise.astype(np.float32), turns)
