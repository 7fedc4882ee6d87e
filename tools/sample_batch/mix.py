"""Mix the lines of a script, the jingle and the noise of a room into an episode, with the times of every word."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import soxr

from tools.sample_batch import kokoro
from tools.sample_batch.scripts import Jingle, Line, Script

RATE = 44_100
MARGIN_SECONDS = 0.08
"""Kept before the first word of a line and after the last: consonants fade in and out."""
SILENCE_SECONDS = 0.4
"""At the beginning and the end of an episode."""
SPEECH_DBFS = -23.0
"""RMS of the words of a line; peaks are about 15 dB higher."""
JINGLE_DBFS = -26.0
NOISE_DBFS = -62.0
NOISE_CUTOFF_HZ = 400.0
"""The noise falls by 6 dB per octave above, as that of a quiet room does."""
CHORD_HZ = (392.0, 493.88, 587.33, 783.99)
"""G major, played upwards."""
NOTE_SECONDS, JINGLE_SECONDS = 0.32, 2.1

Audio = npt.NDArray[np.float32]


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
    """Mono audio at RATE with its turns; `voices`: speaker → voice."""

    audio: Audio
    turns: list[SpokenTurn]
    voices: dict[str, str]


def record(script: Script, model: kokoro.Kokoro, seed: int) -> Episode:
    """Speak a script. The speakers are named in the order in which they first speak: SPEAKER_00, SPEAKER_01, …"""
    names: dict[str, str] = {}
    placed: list[tuple[int, Audio]] = []
    turns: list[SpokenTurn] = []
    end = SILENCE_SECONDS
    for line in script.lines:
        gap = line.gap if placed else 0.0
        if isinstance(line, Jingle):
            audio, words = jingle(), []
            start = end + gap
            end = start + JINGLE_SECONDS
        else:
            audio, words = speak(line, script.voices[line.speaker], model)
            start = end + gap - words[0][1]
            end = start + words[-1][2]
        # the advertisement is one recording: it has the same samples wherever it is played
        position = round(start * RATE)
        placed.append((position, audio))
        if isinstance(line, Line):
            speaker = names.setdefault(line.speaker, f"SPEAKER_{len(names):02d}")
            start = position / RATE
            timed = [(word, round(start + a, 3), round(start + b, 3)) for word, a, b in words]
            turns.append(SpokenTurn(speaker, line.text, timed))
    mixed = room_noise(round((end + SILENCE_SECONDS) * RATE), seed)
    for position, audio in placed:
        mixed[position : position + audio.size] += audio
    return Episode(mixed, turns, {name: script.voices[speaker] for speaker, name in names.items()})


def speak(line: Line, voice: str, model: kokoro.Kokoro) -> tuple[Audio, list[tuple[str, float, float]]]:
    """Return a line at RATE without the silence around it, and its words with times."""
    speech = model.synthesize(line.text, voice)
    first = max(0.0, speech.words[0][1] - MARGIN_SECONDS)
    last = speech.words[-1][2] + MARGIN_SECONDS
    samples = soxr.resample(speech.audio[int(first * kokoro.RATE) : int(last * kokoro.RATE)], kokoro.RATE, RATE)
    first = int(first * kokoro.RATE) / kokoro.RATE
    words = [(word, a - first, b - first) for word, a, b in speech.words]
    spoken = np.concatenate([samples[int(a * RATE) : int(b * RATE)] for _, a, b in words])
    return _fade(samples * _gain(spoken, SPEECH_DBFS), MARGIN_SECONDS / 2), words


def jingle() -> Audio:
    """Return four plucked notes of a chord, which ring on."""
    time = np.arange(int(JINGLE_SECONDS * RATE)) / RATE
    mixed = np.zeros(time.size)
    for i, pitch in enumerate(CHORD_HZ):
        since = time - i * NOTE_SECONDS
        tone = sum(np.sin(2 * np.pi * n * pitch * since) / n**2 for n in (1, 2, 3, 4))
        mixed += np.where(since >= 0, tone * np.exp(-2.2 * np.maximum(since, 0)), 0)
    return _fade(mixed * _gain(mixed, JINGLE_DBFS), 0.01, 0.4)


def room_noise(size: int, seed: int) -> Audio:
    """Return noise whose high frequencies are damped."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(size=size))
    spectrum /= 1 + np.fft.rfftfreq(size, 1 / RATE) / NOISE_CUTOFF_HZ
    noise = np.fft.irfft(spectrum, size)
    return (noise * _gain(noise, NOISE_DBFS)).astype(np.float32)


def _gain(audio: npt.NDArray[np.floating], dbfs: float) -> float:
    return 10 ** (dbfs / 20) / float(np.sqrt(np.mean(np.square(audio))))


def _fade(audio: npt.NDArray[np.floating], fade_in: float, fade_out: float | None = None) -> Audio:
    """Return audio without clicks at its edges; `fade_in` and `fade_out` in seconds."""
    result = audio.astype(np.float32)
    for edge, seconds in ((slice(None), fade_in), (slice(None, None, -1), fade_in if fade_out is None else fade_out)):
        size = int(seconds * RATE)
        result[edge][:size] *= np.linspace(0, 1, size, dtype=np.float32)
    return result
