"""Word error rate, language identification and word times of a converted model on held-out sentences.

    python -m podcast_assets_tests.training.mini_whisper.evaluate MODEL_FOLDER --utterances test.pkl

By default every sentence is a separate clip; with --shortest, sentences of one language are joined until the clip is as
long. Words are compared as they are written.
"""

import argparse
import pickle
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import jiwer
import numpy as np
import numpy.typing as npt
from faster_whisper import WhisperModel

from podcast_assets_tests.training.mini_whisper.synthesize import HELD_OUT_VARIANTS, SAMPLE_RATE, Utterance

PADDING = 0.2
"""Seconds of silence on either side of an utterance, as around a speaker's turn."""
SURE = 0.5
"""A language counts as identified when its probability is above this."""


@dataclass
class Clip:
    """Clip of audio (float32 at 16 kHz) with its words and their (start, end) in seconds."""

    audio: npt.NDArray[np.float32]
    words: list[str]
    times: list[tuple[float, float]]


@dataclass
class Score:
    """Results over clips of one kind."""

    references: list[str] = field(default_factory=list)
    hypotheses: list[str] = field(default_factory=list)
    identified: list[bool] = field(default_factory=list)
    time_errors: list[tuple[float, float]] = field(default_factory=list)
    """Of the start and the end of each word in clips without error, in seconds."""

    def __str__(self) -> str:
        errors = jiwer.wer(self.references, self.hypotheses)
        start, end = np.median(self.time_errors, axis=0) if self.time_errors else (np.nan, np.nan)
        return (
            f"WER {errors:.3f}, language identified in {np.mean(self.identified):.1%} of {len(self.references)} clips; "
            f"median error of word start {start:.3f} s, end {end:.3f} s"
        )


def kind(utterance: Utterance) -> str:
    """Return the language and kind of voice."""
    synthesizer = "flite"
    if "+" in utterance["voice"]:
        unseen = utterance["voice"].split("+")[1] in HELD_OUT_VARIANTS
        synthesizer = "espeak-ng, variants not trained on" if unseen else "espeak-ng, variants trained on"
    return f"{utterance['language']}, {synthesizer}"


def clips(utterances: Iterable[Utterance], shortest: float) -> Iterator[Clip]:
    """Join utterances until a clip has `shortest` seconds of them, each with PADDING around it; the remainder is dropped."""
    silence = np.zeros(int(PADDING * SAMPLE_RATE), np.float32)
    clip = Clip(silence[:0], [], [])
    for u in utterances:
        begin = clip.audio.size / SAMPLE_RATE + PADDING
        clip.audio = np.concatenate([clip.audio, silence, u["audio"].astype(np.float32) / 32768, silence])
        clip.words += u["words"]
        clip.times += [(begin + start, begin + end) for start, end in u["times"]]
        if clip.audio.size >= shortest * SAMPLE_RATE:
            yield clip
            clip = Clip(silence[:0], [], [])


def score(model: WhisperModel, language: str, spoken: Iterable[Clip], beam_size: int, timestamps: bool) -> Score:
    """Identify the language of each clip, then transcribe it as `language`."""
    result = Score()
    for clip in spoken:
        code, probability, _ = model.detect_language(clip.audio)
        result.identified.append(code == language and probability > SURE)
        segments, _ = model.transcribe(
            clip.audio,
            language=language,
            beam_size=beam_size,
            word_timestamps=True,
            without_timestamps=not timestamps,
            temperature=0.0,
            condition_on_previous_text=False,
        )
        words = [w for s in segments for w in s.words or []]
        hypothesis = [w.word.strip(" .") for w in words]
        result.references.append(" ".join(clip.words))
        result.hypotheses.append(" ".join(hypothesis))
        if hypothesis == clip.words:
            pairs = zip(words, clip.times, strict=True)
            result.time_errors += [(abs(w.start - start), abs(w.end - end)) for w, (start, end) in pairs]
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--utterances", type=Path, required=True, help="file written by synthesize --held-out")
    parser.add_argument("--limit", type=int, default=150, help="utterances")
    parser.add_argument("--shortest", type=float, default=0.0, help="seconds of a clip, at least")
    parser.add_argument("--beam-size", type=int, default=5)
    parser.add_argument("--no-timestamps", action="store_true", help="decode without timestamp tokens")
    args = parser.parse_args()

    model = WhisperModel(str(args.model), device="cpu", compute_type="int8", cpu_threads=1)
    utterances: list[Utterance] = pickle.loads(args.utterances.read_bytes())
    random.Random(3).shuffle(utterances)
    kinds: dict[str, list[Utterance]] = defaultdict(list)
    for u in utterances[: args.limit]:
        kinds[kind(u)].append(u)
    for name, alike in sorted(kinds.items()):
        spoken = clips(alike, args.shortest)
        result = score(model, alike[0]["language"], spoken, args.beam_size, not args.no_timestamps)
        print(f"{name}: {result}")


if __name__ == "__main__":
    main()
