"""Make training or test utterances: synthetic speech with word times, and its mel power spectrum.

    python -m tools.mini_whisper.synthesize --seed 1 --espeak 9000 --flite 0 --out train_e.pkl
    python -m tools.mini_whisper.synthesize --seed 9 --espeak 150 --flite 150 --held-out --out test.pkl

An utterance is a dict: `words` (list of str), `times` (list of (start, end) in seconds), `voice`, `mel` (float16, shape
(80, frames), log10 of the mel power, 100 frames a second) and `frames`; with --held-out also `audio` (int16, 16 kHz).
"""

import argparse
import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from tools.mini_whisper.corpus import sentence
from tools.mini_whisper.tts import Espeak, Flite, Speech

SAMPLE_RATE = 16_000
HOP = 160
ESPEAK_LANGUAGES = ["en-us", "en-us", "en-gb-x-rp"]
TRAIN_VARIANTS = [
    *("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8"),
    *("f1", "f2", "f3", "f4", "f5"),
    *("Annie", "Andrea", "Denis", "Michael", "john", "steph", "linda"),
]
HELD_OUT_VARIANTS = ["Alicia", "David", "paul", "Belinda"]
FLITE_VOICES = ["slt", "slt", "rms", "awb", "kal16"]

Times = list[tuple[float, float]]


def word_times(speech: Speech, words: list[str]) -> Times | None:
    """The times of `words` in what a synthesizer reports; None when the two do not agree.

    espeak-ng reports some pairs ("that the", "do not") as one word: such a stretch is divided by the number of letters.
    """
    heard = [(w, s, e) for word, s, e in speech.words if (w := word.strip(" .,?").lower())]
    if len(heard) == len(words):
        return [(s, e) for _, s, e in heard]
    times: list[tuple[str, float, float]] = []
    left = iter([*heard, None])
    ahead = next(left)
    for word in words:
        if ahead and ahead[0] == word:
            times.append(ahead)
            ahead = next(left)
        elif times:
            before, start, end = times[-1]
            middle = start + (end - start) * len(before) / (len(before) + len(word))
            times[-1] = (before, start, middle)
            times.append((word, middle, end))
        else:
            return None
    return None if ahead else [(s, e) for _, s, e in times]


def mel_power() -> Callable[[np.ndarray], np.ndarray]:
    """A function from 16 kHz audio to the power in Whisper's 80 mel bands, shape (80, frames)."""
    from faster_whisper.feature_extractor import FeatureExtractor

    extractor = FeatureExtractor()
    window = np.hanning(401)[:-1].astype(np.float32)

    def power(audio: np.ndarray) -> np.ndarray:
        stft = extractor.stft(audio, 400, HOP, window=window, return_complex=True)
        return (extractor.mel_filters @ np.abs(stft[..., :-1]) ** 2).astype(np.float32)

    return power


def speak(r: random.Random, text: str, synthesizer: Espeak | Flite, held_out: bool) -> tuple[Speech, str]:
    """Speak with a random voice and rate; gives the speech and the voice's name."""
    if isinstance(synthesizer, Espeak):
        voice = r.choice(ESPEAK_LANGUAGES) + "+" + r.choice(HELD_OUT_VARIANTS if held_out else TRAIN_VARIANTS)
        return synthesizer.synth(text, voice, rate=r.randint(140, 205), pitch=r.randint(30, 70)), voice
    voice = r.choice(FLITE_VOICES)
    return synthesizer.synth(text, voice, stretch=r.uniform(0.85, 1.25)), voice


def utterance(
    r: random.Random, synthesizer: Espeak | Flite, held_out: bool
) -> tuple[dict[str, Any], np.ndarray] | None:
    """One sentence in one voice, and its audio at 16 kHz; None when its word times are not usable."""
    words = sentence(r)
    speech, voice = speak(r, " ".join(words) + ".", synthesizer, held_out)
    times = word_times(speech, words)
    if times is None:
        return None
    speed = r.uniform(0.9, 1.12)  # resampling shifts pitch and formants too: more voices than the synthesizers have
    audio = soxr.resample(speech.audio, speech.rate * speed, SAMPLE_RATE).astype(np.float32)
    audio *= r.uniform(0.3, 0.9) / (np.abs(audio).max() + 1e-6)
    return {"words": words, "times": [(s / speed, e / speed) for s, e in times], "voice": voice}, audio


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--espeak", type=int, default=0, help="utterances by espeak-ng")
    parser.add_argument("--flite", type=int, default=0, help="utterances by flite")
    parser.add_argument("--held-out", action="store_true", help="espeak variants kept for testing; keep the audio")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()

    r = random.Random(args.seed)
    espeak, flite, power = Espeak(), Flite(), mel_power()
    made = []
    for i in range(args.espeak + args.flite):
        pair = utterance(r, espeak if i < args.espeak else flite, args.held_out)
        if pair is None:
            continue
        item, audio = pair
        item["frames"] = len(audio) // HOP
        item["mel"] = np.log10(np.maximum(power(audio)[:, : item["frames"]], 1e-10)).astype(np.float16)
        if args.held_out:
            item["audio"] = (audio * 32767).astype(np.int16)
        made.append(item)
    with args.out.open("wb") as f:
        pickle.dump(made, f)
    hours = sum(u["frames"] for u in made) * HOP / SAMPLE_RATE / 3600
    print(f"{args.out}: {len(made)} utterances, {hours:.2f} h; left out {args.espeak + args.flite - len(made)}")


if __name__ == "__main__":
    main()
