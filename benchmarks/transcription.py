"""Whisper on short segments: one window each, packed windows, batches, and file by file, as people do it today.

    python -m benchmarks.transcription [--size tiny] [--rounds 7] [--minutes 4]

The model has random weights in the shape of a published size, which is honest for speed if the number of decoded tokens is fixed:
here 3 for each second of speech, the end token never taken. So nothing follows about words. All on one thread, beam 5, ours with
word times, the peer without. The turns are those of the miniature Whisper's batch, of two speakers.

Segments: `WhisperModel.transcribe` on each, ours with one window per segment, alone and in batches, and ours packed. Clips: ours
on an episode of 200 segments, and on 200 episodes of one, against `WhisperModel.transcribe` file by file. Each in a process of its
own; ours keeps freed memory, as the commands of this project do.
"""

import argparse
import math
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer

from benchmarks.measured import WHOLE, compare_in_processes
from podcast_assets.audio.decode import decode
from podcast_assets.common import memory
from podcast_assets.speech.transcribers.faster_whisper import model as whisper
from podcast_assets.speech.transcribers.faster_whisper.engine import FasterWhisper
from podcast_assets.speech.transcribers.faster_whisper.model import WhisperTranscriber
from podcast_assets.speech.types import SAMPLE_RATE, EpisodeSpeech, Samples, Turn
from podcast_assets_tests import miniature
from tools.random_models.whisper import SIZES, make

TOKENS_PER_SECOND = 3
PROMPT = 4


@contextmanager
def fixed_length(model: WhisperModel, seconds: float) -> Iterator[None]:
    """Make every window decode as many tokens as speech of this length has."""
    limit, suppressed = model.max_length, whisper.get_suppressed_tokens
    model.max_length = PROMPT + math.ceil(TOKENS_PER_SECOND * seconds)
    whisper.get_suppressed_tokens = lambda tokenizer, tokens: (tokenizer.eot,)  # type: ignore[assignment]
    try:
        yield
    finally:
        model.max_length, whisper.get_suppressed_tokens = limit, suppressed


def turns_of(minutes: float) -> tuple[Samples, list[Turn]]:
    """Return audio with short turns of two speakers, and the turns."""
    pieces: list[Samples] = []
    turns: list[Turn] = []
    at = 0.0
    while at < minutes * 60:
        for file in WHOLE:
            audio = decode(miniature.BATCH / file)
            turns += [
                Turn(at + t["start"], at + t["end"], "AB"[i % 2])
                for i, t in enumerate(miniature.load_reference(Path(file).stem))
            ]
            pieces.append(audio)
            at += len(audio) / SAMPLE_RATE
    return np.concatenate(pieces), turns


def ours(model: WhisperModel, batch: int, *, pack: bool, seconds: float, work: Sequence[EpisodeSpeech]) -> list[int]:
    engine = FasterWhisper(model="unused", pack=pack, temperatures=(0.0,))
    transcriber = WhisperTranscriber(engine, model, batch)
    with fixed_length(model, seconds):
        for result in transcriber.transcribe(work):
            if isinstance(result.transcripts, Exception):
                raise result.transcripts
    return transcriber.batcher.batches


def file_by_file(model: WhisperModel, clips: Sequence[Samples], seconds: float) -> None:
    eot = Tokenizer(model.hf_tokenizer, multilingual=True, task="transcribe", language="en").eot
    for clip in clips:
        segments, _ = model.transcribe(
            clip,
            language="en",
            beam_size=5,
            temperature=0.0,
            # it seeks to the end of the last word, which random weights put anywhere: spared of word times, which favours it
            word_timestamps=False,
            without_timestamps=True,
            condition_on_previous_text=False,
            no_speech_threshold=None,
            log_prob_threshold=None,
            compression_ratio_threshold=None,
            suppress_tokens=[eot],
            max_new_tokens=math.ceil(TOKENS_PER_SECOND * seconds),
        )
        list(segments)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--clips", type=int, default=200)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), arguments.size)
        segments(folder, arguments.minutes, arguments.rounds)
        five_seconds(folder, arguments.clips, arguments.rounds)


def loaded(folder: str) -> WhisperModel:
    return WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=1)


def run_ours(
    folder: str, batch: int, *, pack: bool, seconds: float, work: Sequence[EpisodeSpeech]
) -> Callable[[], object]:
    """Prepare this project's transcriber as its commands run it."""
    memory.keep_freed_memory()
    model = loaded(folder)
    return lambda: ours(model, batch, pack=pack, seconds=seconds, work=work)


def run_peer(folder: str, clips: Sequence[Samples], seconds: float) -> Callable[[], object]:
    """Prepare the peer as people run it."""
    model = loaded(folder)
    return lambda: file_by_file(model, clips, seconds)


def segments(folder: str, minutes: float, count: int) -> None:
    audio, turns = turns_of(minutes)
    work = [EpisodeSpeech("episode", audio, turns, "en")]
    clips = [audio[round(t.start * SAMPLE_RATE) : round(t.end * SAMPLE_RATE)] for t in turns]
    speech = sum(t.end - t.start for t in turns)
    alone, packed = speech / len(turns), 26.0
    print(f"\n{len(turns)} segments of {alone:.1f} s on average, in {minutes:g} minutes\n")
    compare_in_processes(
        {
            "WhisperModel.transcribe, segment by segment": lambda: run_peer(folder, clips, alone),
            "ours, one window per segment, one by one": lambda: run_ours(
                folder, 1, pack=False, seconds=alone, work=work
            ),
            "ours, one window per segment, batches of 8": lambda: run_ours(
                folder, 8, pack=False, seconds=alone, work=work
            ),
            "ours, packed windows, batches of 8": lambda: run_ours(folder, 8, pack=True, seconds=packed, work=work),
        },
        count,
        speech,
        "s of speech",
    )


def five_seconds(folder: str, number: int, count: int) -> None:
    audio, _ = turns_of(number * 5 / 60)
    clips = [audio[i * 5 * SAMPLE_RATE : (i + 1) * 5 * SAMPLE_RATE] for i in range(number)]
    one = [EpisodeSpeech("episode", audio, [Turn(i * 5, i * 5 + 5, "AB"[i % 2]) for i in range(number)], "en")]
    many = [EpisodeSpeech(f"clip {i}", clip, [Turn(0, 5, "A")], "en") for i, clip in enumerate(clips)]
    print(f"\n{number} clips of 5 s\n")
    compare_in_processes(
        {
            "WhisperModel.transcribe, file by file": lambda: run_peer(folder, clips, 5),
            f"ours, {number} episodes of one segment": lambda: run_ours(folder, 8, pack=True, seconds=5, work=many),
            f"ours, an episode of {number} segments": lambda: run_ours(folder, 8, pack=True, seconds=27, work=one),
        },
        max(3, count // 2),
        number * 5,
        "s of speech",
    )


if __name__ == "__main__":
    main()
