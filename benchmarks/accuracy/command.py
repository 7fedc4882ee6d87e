"""The command of this benchmark: measure, compare with what was recorded, record."""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

import benchmarks.accuracy
from benchmarks.accuracy import corpora, systems
from benchmarks.accuracy.corpora import Recording
from benchmarks.accuracy.figures import LOWER_IS_BETTER, measure
from podcast_assets.config.settings import Settings
from podcast_assets.engines.availability import check_available
from podcast_assets.stages.profiles import engines_of, make_profile

RECORDED = Path(__file__).with_name("recorded.json")
PROFILES = ("embedded", "cpu")
PERTURBED = ((-1.0, 0.013), (0.7, 0.031), (-0.4, 0.05))
"""Decibels and seconds by which recordings are made louder and later."""
LEAST_NOISE = {
    "WER": 0.025,
    "words deleted": 0.01,
    "median error of a word's start, ms": 10.0,
    "DER": 0.01,
    "speakers missed or invented": 0.0,
    "language right": 0.04,
}
"""What a figure may change by in any case, since another processor adds numbers in another order: a WER by up to 0.022 on the
dialogues, whose words are few; of languages, one clip."""

Figures = dict[str, dict[str, dict[str, float]]]
"""System → corpus → measure → value."""


def main() -> None:
    """Run as the command line asks."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy",
        description=benchmarks.accuracy.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--real", type=Path, help="folder of real recordings; left out if it does not exist")
    parser.add_argument(
        "--languages", type=Path, help="folder of clips in several languages; left out if it does not exist"
    )
    parser.add_argument("--profile", action="append", help="profiles; by default those that can run here")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--record", action="store_true", help="record the figures as those to hold")
    parser.add_argument(
        "--noise", type=int, default=0, choices=range(len(PERTURBED) + 1), help="rounds that measure noise"
    )
    arguments = parser.parse_args()
    began = time.monotonic()
    profiles = arguments.profile or [name for name in PROFILES if _can_run(name)]
    with tempfile.TemporaryDirectory(prefix="accuracy-") as folder:
        recordings = _collect(arguments.real, arguments.languages, Path(folder))
        _say(f"{len(recordings)} recordings: {', '.join(dict.fromkeys(r.corpus for r in recordings))}")
        figures = _measure_all(profiles, recordings, Path(folder) / "as they are")
        rounds = [
            _measure_all(
                profiles, list(_perturb(recordings, Path(folder) / f"copies {i}", *PERTURBED[i])), Path(folder) / str(i)
            )
            for i in range(arguments.noise)
        ]
    _print(figures)
    _say(f"took {time.monotonic() - began:.0f} s")
    if arguments.json:
        systems.write_json(arguments.json, figures)
    if arguments.record:
        systems.write_json(RECORDED, {"figures": figures, "noise": _noise(figures, rounds, _known("noise"))})
        _say(f"recorded in {RECORDED}")
    elif worse := list(compare(figures, _known("figures"), _known("noise"))):
        sys.exit("\n".join(["accuracy got worse:", *worse]))


def _can_run(profile: str) -> bool:
    chosen = make_profile(Settings(profile=profile), profile, "")
    for engine in (chosen.diarizer, systems.recognizer(profile, "en")):
        available, why = check_available(engine)
        if not available:
            _say(f"the profile {profile} is left out: {why}")
            return False
    return bool(engines_of(chosen))


def _collect(real: Path | None, languages: Path | None, folder: Path) -> list[Recording]:
    found = list(corpora.sample_batch())
    if real and real.is_dir():
        found += [*corpora.reading(real), *corpora.conversations(real)]
        (folder / "dialogues").mkdir()
        found += corpora.dialogues(real, folder / "dialogues")
    else:
        _say("no real recordings: made speech only")
    if languages and languages.is_dir():
        found += corpora.languages(languages)
    else:
        _say("no clips in other languages")
    return found


def _measure_all(profiles: Iterable[str], recordings: Sequence[Recording], folder: Path) -> Figures:
    figures: Figures = {}
    written = [r for r in recordings if r.text is not None]
    spoken = [r for r in recordings if r.turns is not None]
    for profile in profiles:
        _say(f"the pipeline, profile {profile}")
        figures[f"profile {profile}"] = measure(recordings, systems.run_pipeline(profile, recordings, folder / profile))
        _say(systems.ALONE)
        alone = f"{systems.ALONE}, models of {profile}"
        figures[alone] = measure(written, systems.run_whisper(profile, written))
    if systems.has_senko():
        _say(systems.SENKO)
        figures[systems.SENKO] = measure(spoken, systems.run_senko(spoken))
    return figures


def _perturb(recordings: Iterable[Recording], folder: Path, gain_db: float, delay: float) -> Iterator[Recording]:
    folder.mkdir()
    for recording in recordings:
        file = folder / f"{recording.name}.wav"
        corpora.save_perturbed(recording, file, gain_db, delay)
        words = [replace(w, start=w.start + delay) for w in recording.words or () if w.start is not None]
        turns = [replace(t, start=t.start + delay, end=t.end + delay) for t in recording.turns or ()]
        yield replace(
            recording,
            file=file,
            words=words if recording.words else None,
            turns=None if recording.turns is None else turns,
        )


def _noise(figures: Figures, rounds: Sequence[Figures], known: Figures) -> Figures:
    """Return the largest change of each figure over the rounds; what was known of it, if that is more or there are no rounds."""
    noise: Figures = {}
    for system, corpus, name, value in _flat(figures):
        changes = [abs(r[system][corpus][name] - value) for r in rounds]
        before = known.get(system, {}).get(corpus, {}).get(name, 0.0)
        noise.setdefault(system, {}).setdefault(corpus, {})[name] = max([before, *changes])
    return noise


def compare(figures: Figures, recorded: Figures, noise: Figures) -> Iterator[str]:
    """Yield a line for each recorded figure that is now worse by more than its noise. What is not measured now is left out."""
    for system, corpus, name, before in _flat(recorded):
        now = figures.get(system, {}).get(corpus, {}).get(name)
        if now is None:
            continue
        change = now - before if LOWER_IS_BETTER[name] else before - now
        if change > (allowed := max(noise[system][corpus][name], LEAST_NOISE[name])):
            yield f"  {system}, {corpus}: {name} {now:.4f}, recorded {before:.4f} with a noise of {allowed:.4f}"


def _flat(figures: Figures) -> Iterator[tuple[str, str, str, float]]:
    return ((s, c, n, v) for s, corpus in figures.items() for c, names in corpus.items() for n, v in names.items())


def _known(part: str) -> Figures:
    return json.loads(RECORDED.read_text())[part] if RECORDED.exists() else {}


def _print(figures: Figures) -> None:
    table = Table("recordings", "measure", *figures)
    rows = dict.fromkeys((corpus, name) for _, corpus, name, _ in _flat(figures))
    for corpus, name in rows:
        values = [figures[s].get(corpus, {}).get(name) for s in figures]
        table.add_row(corpus, name, *("" if v is None else f"{v:.3f}" if v < 10 else f"{v:.0f}" for v in values))
    Console(width=160).print(table)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
