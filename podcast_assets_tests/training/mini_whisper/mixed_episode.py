"""Make an episode of two speakers who take turns in two languages, and its exact reference.

    python -m podcast_assets_tests.training.mini_whisper.mixed_episode --out podcast_assets_tests/fixtures/mixed_languages

All sentences are held out from training (`languages.is_held_out`). The same versions of espeak-ng and PyAV give the same
bytes.
"""

import argparse
import json
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from podcast_assets_tests.training.mini_whisper.batch.encode import Format, encode
from podcast_assets_tests.training.mini_whisper.batch.episodes import (
    GAP_SECONDS,
    MARGIN_SECONDS,
    NOISE,
    RATE,
    SpokenTurn,
    Studio,
)
from podcast_assets_tests.training.mini_whisper.languages import MODELS, Language, Words, is_held_out

SEED = 4
STEM = "mixed"
VOICES = ("en-us+f2", "de+m3")
"""Of the speakers, in the order of the model's languages."""
TURNS_EACH = 6
TURN_SECONDS = (2.0, 6.0)
OPUS = Format("ogg", "libopus", 16_000, "mono", 18_000)

Turn = tuple[SpokenTurn, Language]


def held_out_sentences(r: random.Random, language: Language) -> Iterator[Words]:
    """Endless random sentences with grammar that no model was trained on."""
    while True:
        if is_held_out(words := language.natural_sentence(r)):
            yield words


def record(studio: Studio, r: random.Random) -> tuple[npt.NDArray[np.float32], list[Turn]]:
    """Return audio at RATE and its turns in order of time."""
    languages = MODELS["two"]
    sentences = [held_out_sentences(r, language) for language in languages]
    pieces = [np.zeros(RATE // 2, np.float32)]
    turns: list[Turn] = []
    while len(turns) < TURNS_EACH * len(languages):
        speaker = len(turns) % len(languages)
        audio, words = studio.speak(VOICES[speaker], [next(sentences[speaker]) for _ in range(r.randint(1, 3))])
        if not TURN_SECONDS[0] <= words[-1][2] - words[0][1] <= TURN_SECONDS[1]:
            continue
        begin = sum(piece.size for piece in pieces) / RATE
        placed = [(word, round(begin + start, 3), round(begin + end, 3)) for word, start, end in words]
        text = " ".join(word for word, _, _ in placed)
        turns.append((SpokenTurn(f"SPEAKER_{speaker:02d}", text, placed), languages[speaker]))
        gap = np.zeros(int((r.uniform(*GAP_SECONDS) - 2 * MARGIN_SECONDS) * RATE), np.float32)
        pieces += [audio, gap]
    joined = np.concatenate(pieces)
    noise = np.random.default_rng(r.randrange(1 << 32)).normal(0, NOISE, joined.size)
    return joined + noise.astype(np.float32), turns


def reference(duration: float, turns: list[Turn]) -> str:
    """Return JSON with one line per turn; times in seconds from the start of the episode."""
    lines = [
        {
            "speaker": turn.speaker,
            "language": language.code,
            "start": turn.start,
            "end": turn.end,
            "text": turn.text,
            "words": turn.words,
        }
        for turn, language in turns
    ]
    voices = {f"SPEAKER_{i:02d}": voice for i, voice in enumerate(VOICES)}
    head = json.dumps({"meta_id": STEM, "duration": round(duration, 3), "voices": voices})
    body = ",\n  ".join(json.dumps(line, ensure_ascii=False) for line in lines)
    return f'{head[:-1]}, "turns": [\n  {body}\n]}}\n'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--out", type=Path, required=True, help="folder")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    audio, turns = record(Studio(), random.Random(args.seed))
    seconds, data = audio.size / RATE, encode(audio, RATE, OPUS)
    (args.out / f"{STEM}.opus").write_bytes(data)
    (args.out / f"{STEM}.json").write_text(reference(seconds, turns), encoding="utf-8")
    print(f"{STEM}.opus: {seconds:.1f} s, {len(turns)} turns, {len(data):,} bytes")


if __name__ == "__main__":
    main()
