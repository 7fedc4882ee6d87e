"""Make training or test utterances: synthetic speech with word times, and its mel power spectrum.

    python -m podcast_assets_tests.training.mini_whisper.synthesize --model demo --seed 1 --espeak 9000 --flite 0 --out train_e.pkl
    python -m podcast_assets_tests.training.mini_whisper.synthesize --model demo --seed 9 --espeak 150 --held-out --out test.pkl

An utterance is a dict: `language`, `words` (list of str), `times` (list of (start, end) in seconds), `voice`, `mel`
(float16, shape (80, frames), log10 of the mel power, 100 frames a second) and `frames`; with --held-out also `audio`
(int16, 16 kHz).
"""

import argparse
import pickle
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from podcast_assets_tests.training.mini_whisper.languages import MODELS, Language, is_held_out
from podcast_assets_tests.training.mini_whisper.tts import Espeak, Flite, Speech

SAMPLE_RATE = 16_000
HOP = 160
TRAIN_VARIANTS = [
    *("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8"),
    *("f1", "f2", "f3", "f4", "f5"),
    *("Annie", "Andrea", "Denis", "Michael", "john", "steph", "linda"),
]
HELD_OUT_VARIANTS = ["Alicia", "David", "paul", "Belinda"]

Times = list[tuple[float, float]]
Synthesizer = Espeak | Flite
Utterance = dict[str, Any]
"""As this module's docstring says."""


def word_times(speech: Speech, words: list[str]) -> Times | None:
    """The times of `words` in what a synthesizer reports; None when the two do not agree.

    espeak-ng reports some pairs ("that the", "do not") as one word: such a stretch is divided by the number of letters.
    """
    reported = [(w, s, e) for word, s, e in speech.words if (w := word.strip(" .,?").lower())]
    words = [word.lower() for word in words]
    if len(reported) == len(words):
        return [(s, e) for _, s, e in reported]
    times: list[tuple[str, float, float]] = []
    left = iter([*reported, None])
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
    """Return a function from 16 kHz audio to the power in Whisper's 80 mel bands, shape (80, frames)."""
    from faster_whisper.feature_extractor import FeatureExtractor

    extractor = FeatureExtractor()
    window = np.hanning(401)[:-1].astype(np.float32)

    def power(audio: np.ndarray) -> np.ndarray:
        stft = extractor.stft(audio, 400, HOP, window=window, return_complex=True)
        return (extractor.mel_filters @ np.abs(stft[..., :-1]) ** 2).astype(np.float32)

    return power


def speak(
    r: random.Random, text: str, language: Language, synthesizer: Synthesizer, held_out: bool
) -> tuple[Speech, str]:
    """Speak with a random voice and rate; gives the speech and the voice's name.

    With `held_out`, half of espeak-ng's variants are those that no model is trained on.
    """
    if isinstance(synthesizer, Espeak):
        variants = HELD_OUT_VARIANTS if held_out and r.random() < 0.5 else TRAIN_VARIANTS
        voice = f"{r.choice(language.espeak_voices)}+{r.choice(variants)}"
        return synthesizer.synth(text, voice, rate=r.randint(140, 205), pitch=r.randint(30, 70)), voice
    voice = r.choice(language.flite_voices)
    return synthesizer.synth(text, voice, stretch=r.uniform(0.85, 1.25)), voice


def utterance(
    r: random.Random, language: Language, synthesizer: Synthesizer, held_out: bool
) -> tuple[Utterance, np.ndarray] | None:
    """Return a sentence in one voice and its audio at 16 kHz; None if its word times are unusable."""
    while is_held_out(words := language.sentence(r)) != held_out:
        pass
    speech, voice = speak(r, " ".join(words) + ".", language, synthesizer, held_out)
    times = word_times(speech, words)
    if times is None:
        return None
    speed = r.uniform(0.9, 1.12)  # resampling shifts pitch and formants too: more voices than the synthesizers have
    audio = soxr.resample(speech.audio, speech.rate * speed, SAMPLE_RATE).astype(np.float32)
    audio *= r.uniform(0.3, 0.9) / (np.abs(audio).max() + 1e-6)
    scaled = [(start / speed, end / speed) for start, end in times]
    return {"language": language.code, "words": words, "times": scaled, "voice": voice}, audio


def _in_turn(languages: Sequence[Language], synthesizer: Synthesizer, n: int) -> list[tuple[Language, Synthesizer]]:
    """Yield languages in turn, `n` in all."""
    return [(languages[i % len(languages)], synthesizer) for i in range(n)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=MODELS, required=True, help="whose languages to speak, in turn")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--espeak", type=int, default=0, help="utterances by espeak-ng")
    parser.add_argument("--flite", type=int, default=0, help="utterances by flite")
    parser.add_argument("--held-out", action="store_true", help="sentences and voices kept for testing; keep the audio")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()

    with_flite = [spoken for spoken in MODELS[args.model] if spoken.flite_voices]
    if args.flite and not with_flite:
        parser.error(f"flite has no voice for the languages of {args.model}")

    r = random.Random(args.seed)
    espeak, flite, power = Espeak(), Flite(), mel_power()
    plan = [*_in_turn(MODELS[args.model], espeak, args.espeak), *_in_turn(with_flite, flite, args.flite)]
    made = []
    for language, synthesizer in plan:
        pair = utterance(r, language, synthesizer, args.held_out)
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
    print(f"{args.out}: {len(made)} utterances, {hours:.2f} h; left out {len(plan) - len(made)}")


if __name__ == "__main__":
    main()
