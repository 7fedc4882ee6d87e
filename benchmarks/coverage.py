"""What it costs to hold transcripts against the speech in their turns, and to pack turns or not: CPU time and words.

    python -m benchmarks.coverage [--real FOLDER] [--model tiny.en] [--rounds 5]

On clean reading, and on dialogues of real voices (`podcast_assets_tests/dialogues.py`, voices with which nothing was chosen), which
need the folder of real recordings. Turns are the segments by the embedded diarizer. The peer is the same transcriber, packed, not
checked. "words" are WER and deleted words of the dialogues, against what the same model writes for each clip alone, and against
true words.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import jiwer

from benchmarks.measured import WHOLE, compare
from podcast_assets import demo
from podcast_assets.audio.decode import decode
from podcast_assets.engines.engine import make_engine
from podcast_assets.quality.text.measures import find_hallucinations
from podcast_assets.quality.text.spoken_form import spoken_words
from podcast_assets.speech.routing import Route, RoutedEngine
from podcast_assets.speech.segmentation import PRESETS, segment
from podcast_assets.speech.types import SAMPLE_RATE, EpisodeSpeech, Samples, Transcriber, Turn
from podcast_assets_tests.dialogues import GAPS, REPORTED, VOICES, make_dialogue

WAYS = {
    "packed, not checked": {"pack": True, "coverage": False},
    "packed, checked": {"pack": True, "coverage": True},
    "each turn alone, not checked": {"pack": False, "coverage": False},
    "each turn alone, checked": {"pack": False, "coverage": True},
}


def main() -> None:
    """Run as the command line asks."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.coverage", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--real", type=Path, help="folder of real recordings")
    parser.add_argument("--model", default="tiny.en")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    diarizer = make_engine("diarizer", "embedded").load()
    ways = {name: load(arguments.model, **settings) for name, settings in WAYS.items()}

    def speech(name: str, audio: Samples) -> EpisodeSpeech:
        return EpisodeSpeech(name, audio, segment(diarizer.diarize(audio), audio, PRESETS["asr"]), "en")

    if arguments.real is None:
        measure("the sample batch", ways, [speech(n, decode(demo.BATCH / n)) for n in WHOLE], arguments.rounds)
        return
    reading = [decode(arguments.real / file) for voice in REPORTED for file in VOICES[voice]]
    measure("clean reading", ways, [speech(str(i), audio) for i, audio in enumerate(reading)], arguments.rounds)
    for gap in GAPS:
        made = [make_dialogue(arguments.real, REPORTED[:n], gap, seed) for seed, n in enumerate((3, len(REPORTED)), 1)]
        work = [speech(str(i), dialogue.samples) for i, dialogue in enumerate(made)]
        measure(f"dialogues, {gap:+.2f} s", ways, work, arguments.rounds)
        clips = [clip.samples for dialogue in made for _, _, clip in dialogue.clips]
        references = {
            "each clip alone": transcribe_clips(ways["each turn alone, not checked"], clips),
            "true words": " ".join(dialogue.text for dialogue in made),
        }
        print_words(ways, work, references)


def load(model: str, *, pack: bool, coverage: bool) -> Transcriber:
    """Load a transcriber."""
    whisper = make_engine("transcriber", "faster-whisper", model=model, device="cpu", pack=pack)
    return RoutedEngine(routes=(Route(language="*", chain=(whisper,)),), coverage=coverage).load(
        None, find_hallucinations
    )


def measure(title: str, ways: dict[str, Transcriber], work: Sequence[EpisodeSpeech], rounds: int) -> None:
    """Print the CPU time of each way."""
    seconds = sum(len(s.audio) for s in work) / SAMPLE_RATE
    print(f"\n{title}: {seconds:.0f} s, {sum(len(s.turns) for s in work)} segments")

    def run(worker: Transcriber) -> Callable[[], object]:
        return lambda: [texts(worker, work)]

    compare({name: run(worker) for name, worker in ways.items()}, rounds, seconds, "s of audio")


def texts(worker: Transcriber, work: Sequence[EpisodeSpeech]) -> str:
    """Return all that is written, in the order of the episodes."""
    found = {r.speech.episode: r.transcripts for r in worker.transcribe(work)}
    written: list[str] = []
    for speech in work:
        transcripts = found[speech.episode]
        if isinstance(transcripts, Exception):
            raise transcripts
        written += [t.text for t in transcripts]
    return " ".join(written)


def transcribe_clips(worker: Transcriber, clips: Sequence[Samples]) -> str:
    """Return what is written for clips, each alone."""
    work = [
        EpisodeSpeech(str(i), clip, [Turn(0.0, len(clip) / SAMPLE_RATE, None)], "en") for i, clip in enumerate(clips)
    ]
    return texts(worker, work)


def print_words(ways: dict[str, Transcriber], work: Sequence[EpisodeSpeech], references: dict[str, str]) -> None:
    """Print WER and deletions of each way."""
    for name, worker in ways.items():
        written = texts(worker, work)
        for kind, reference in references.items():
            said, found = (" ".join(words) for words in spoken_words([reference, written], ["en", "en"]))
            errors = jiwer.process_words(said, found)
            deleted = errors.deletions / len(said.split())
            print(f"  {name:30} {kind:16} WER {errors.wer:.3f}, deleted {deleted:.3f} of {len(said.split())} words")


if __name__ == "__main__":
    main()
