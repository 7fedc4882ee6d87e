"""What accuracy is measured on: recordings with what is said in them, and who speaks when."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import soundfile as sf

from benchmarks.measured import WHOLE
from podcast_assets import demo
from podcast_assets.audio.decode import decode
from podcast_assets.speech.rttm import parse_rttm
from podcast_assets.speech.types import SAMPLE_RATE, Audio, Turn, Word
from podcast_assets_tests.dialogues import PHRASES, REPORTED, make_dialogue

DIALOGUES = ((0.6, "0.6 s apart"), (0.15, "0.15 s apart"), (-0.2, "overlapping by 0.2 s"))
SEEDS = (1, 2)
MEETINGS = ("dev00", "dev01")


@dataclass(frozen=True)
class Recording:
    """A recording and what is known about it."""

    name: str
    corpus: str
    file: Path
    language: str | None = "en"
    """Declared language; None if it is to be identified."""
    text: str | None = None
    """What is said, in order; None if unknown."""
    words: Sequence[Word] | None = None
    """The same with times."""
    turns: Sequence[Turn] | None = None
    """Who speaks when; None if unknown."""
    spoken_language: str = "en"


def sample_batch() -> Iterator[Recording]:
    """Yield the whole episodes of the sample batch, in synthesized voices, with exact words and times."""
    for name in WHOLE:
        stem = Path(name).stem
        reference = demo.load_reference(stem)
        words = [Word(w, start, end, None) for turn in reference for w, start, end in turn["words"]]
        turns = parse_rttm((demo.REFERENCES / f"{stem}.rttm").read_text())[stem]
        text = " ".join(turn["text"] for turn in reference)
        yield Recording(stem, "sample batch", demo.BATCH / name, text=text, words=words, turns=turns)


def reading(folder: Path) -> Iterator[Recording]:
    """Yield recordings of one reader each."""
    for name, phrases in PHRASES.items():
        yield Recording(Path(name).stem, "one reader", folder / name, text=" ".join(words for _, words in phrases))


def dialogues(folder: Path, into: Path) -> Iterator[Recording]:
    """Make the dialogues of real voices with which nothing was chosen, as WAV files."""
    for (gap, name), seed in product(DIALOGUES, SEEDS):
        made = make_dialogue(folder, REPORTED, gap, seed)
        file = into / f"dialogue-{round(gap * 100)}-{seed}.wav"
        sf.write(file, made.samples, SAMPLE_RATE)
        yield Recording(file.stem, f"dialogues, {name}", file, text=made.text, turns=made.turns)


def conversations(folder: Path) -> Iterator[Recording]:
    """Yield real conversations of which only the speakers are known: one by telephone, and pieces of meetings in a room."""
    turns = parse_rttm((folder / "conversation.rttm").read_text())
    yield Recording("conversation", "telephone", folder / "conversation.wav", turns=next(iter(turns.values())))
    meetings = parse_rttm((folder / "meeting.rttm").read_text())
    for name in MEETINGS:
        yield Recording(name, "meetings", folder / f"{name}.wav", turns=meetings[name])


def languages(folder: Path) -> Iterator[Recording]:
    """Yield the clips of `pytest_audioeval/samples/audio` in nine languages."""
    for file in sorted(folder.glob("*/*.wav")):
        name = f"{file.parent.name}-{file.stem}"
        text = file.with_suffix(".txt").read_text().strip()
        yield Recording(name, "nine languages", file, None, text=text, spoken_language=file.parent.name)


def samples(recording: Recording) -> Audio:
    """Decode a recording at 16 kHz."""
    return decode(recording.file)


def save_perturbed(recording: Recording, file: Path, gain_db: float, delay: float) -> None:
    """Write a recording a little louder or later, which no figure should depend on: so the noise of figures is measured."""
    audio = np.asarray(decode(recording.file))
    silence = np.zeros(round(delay * SAMPLE_RATE), np.float32)
    sf.write(file, np.clip(np.concatenate([silence, audio]) * 10 ** (gain_db / 20), -1, 1), SAMPLE_RATE)
